"""Other ways in: ssh, notebooks, clouds."""

from __future__ import annotations

import getpass
import socket

import pytest

from spacerun.app.ways import ways_in

URL = "http://127.0.0.1:7860"
ME = getpass.getuser()


@pytest.mark.parametrize(
    ("connection", "text"),
    [
        ("10.0.0.5 51234 10.0.0.9 22", f"ssh -N -L 7860:127.0.0.1:7860 {ME}@10.0.0.9, then open http://127.0.0.1:7860"),
        ("10.0.0.5 51234 10.0.0.9 2222", f"ssh -N -L 7860:127.0.0.1:7860 -p 2222 {ME}@10.0.0.9, then"),
        ("8.8.8.8 51234 8.8.4.4 22", f"{ME}@8.8.4.4, then"),
        # Behind a router, this machine's own address means nothing to whoever came through it.
        ("8.8.8.8 51234 172.31.0.9 22", f"{ME}@{socket.gethostname()}, then"),
    ],
)
def test_the_ssh_line_for_this_machine(connection, text):
    (way,) = ways_in(URL, {"SSH_CONNECTION": connection})
    assert way.where == "ssh"
    assert text in way.text


def test_an_ipv6_listener_and_nonsense():
    assert "-L 7861:[::1]:7861" in ways_in("http://[::1]:7861", {"SSH_CONNECTION": "10.0.0.5 1 10.0.0.9 22"})[0].text
    assert ways_in(URL, {"SSH_CONNECTION": "what"}) == []
    assert ways_in(URL, {}) == []


@pytest.mark.parametrize(
    ("variables", "where", "url", "text"),
    [
        ({"COLAB_RELEASE_TAG": "release-colab"}, "Colab", None, "output.serve_kernel_port_as_window(7860)"),
        (
            {"RUNPOD_POD_ID": "abc123"},
            "RunPod",
            "https://abc123-7860.proxy.runpod.net",
            "with --host 0.0.0.0, and 7860 among the pod's HTTP ports",
        ),
        (
            {"LIGHTNING_CLOUDSPACE_HOST": "01j.cloudspaces.litng.ai"},
            "Lightning",
            "https://7860-01j.cloudspaces.litng.ai",
            "https://7860-01j.cloudspaces.litng.ai",
        ),
        (
            {"PAPERSPACE_FQDN": "n1.clg.paperspacegradient.com"},
            "Paperspace",
            None,
            "https://tensorboard-n1.clg.paperspacegradient.com, with --port 6006",
        ),
        (
            {"SAGEMAKER_APP_TYPE": "JupyterLab"},
            "SageMaker",
            None,
            "/jupyterlab/default/proxy/7860/ on the host of the notebook's own address",
        ),
        (
            {"SAGEMAKER_APP_TYPE": "JupyterServer"},
            "SageMaker",
            None,
            "/jupyter/default/proxy/7860/",
        ),
        (
            {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"},
            "JupyterHub",
            None,
            "needs jupyter-server-proxy; a Gradio page that stays empty: --env GRADIO_ROOT_PATH=/user/ada/proxy/7860",
        ),
        (
            {
                "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
                "JUPYTERHUB_PUBLIC_URL": "https://hub.example.com/user/ada/",
            },
            "JupyterHub",
            "https://hub.example.com/user/ada/proxy/7860/",
            "needs jupyter-server-proxy",
        ),
    ],
)
def test_the_proxy_of_each_place(variables, where, url, text):
    (way,) = ways_in(URL, variables)
    assert (way.where, way.url) == (where, url)
    assert text in way.text


def test_paperspaces_one_port():
    (way,) = ways_in("http://127.0.0.1:6006", {"PAPERSPACE_FQDN": "n1.paperspacegradient.com"})
    assert way.url == way.text == "https://tensorboard-n1.paperspacegradient.com"


def test_a_place_and_ssh_together():
    both = ways_in(URL, {"RUNPOD_POD_ID": "x", "SSH_CONNECTION": "10.0.0.5 1 10.0.0.9 22", "COLAB_RELEASE_TAG": ""})
    assert [way.where for way in both] == ["Colab", "ssh"]
