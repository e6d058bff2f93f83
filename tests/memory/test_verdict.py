"""Whether something fits, and which devices it gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spacerun.errors import NoGpuError
from spacerun.gpu.devices import Device, DeviceReport, GpuProcess, Mig
from spacerun.gpu.problems import Machine, no_library
from spacerun.memory.advice import Case, advice
from spacerun.memory.estimate import Estimate, estimate, exactly
from spacerun.memory.term import Span, Term
from spacerun.memory.verdict import Verdict, judge
from tests.memory.models import GIB, plain, setting, true


def gpu(index: int, free: float, total: float | None = None, **given) -> Device:
    whole = round((total or free) * GIB)
    facts = {"uuid": f"GPU-{index}", "name": "NVIDIA A10G", "used_bytes": whole - round(free * GIB)}
    return Device(index=index, total_bytes=whole, free_bytes=round(free * GIB), **{**facts, **given})


def needing(low: float, likely: float, most: float, *, spread=False, unknown=()) -> Estimate:
    span = Span(*(round(value * GIB) for value in (low, likely, most)))
    return Estimate((Term("weights", "a/b", span, "a formula", "a source"),), unknown=unknown, spread=spread)


def verdict(taken: Estimate, *devices: Device, choice="auto", needs_gpu=True):
    return judge(taken, DeviceReport(devices), choice, needs_gpu=needs_gpu)


@pytest.mark.parametrize(
    ("free", "expected"),
    [(12.0, Verdict.FITS), (11.9, Verdict.TIGHT), (10.0, Verdict.TIGHT), (9.9, Verdict.TOO_SMALL)],
)
def test_what_is_taken_at_most_fits_what_is_likely_is_tight_less_is_too_small(free: float, expected: Verdict) -> None:
    assert verdict(needing(8, 10, 12), gpu(0, free)).verdict is expected


def test_without_a_gpu_only_what_needs_one_is_refused() -> None:
    assert verdict(needing(8, 10, 12)).verdict is Verdict.NO_GPU
    assert verdict(needing(8, 10, 12), needs_gpu=False).verdict is Verdict.NOT_NEEDED
    assert verdict(needing(8, 10, 12), gpu(0, 24), choice="none").verdict is Verdict.NO_GPU
    report = DeviceReport((), problem=no_library(Machine()))
    with pytest.raises(NoGpuError):
        judge(needing(1, 1, 1), report, "0", needs_gpu=True)


def test_what_loads_nothing_needs_no_gpu() -> None:
    assert verdict(estimate([], setting()), gpu(0, 24), needs_gpu=False).verdict is Verdict.NOT_NEEDED


def test_unknown_never_blocks_unless_what_is_known_is_too_much() -> None:
    assert verdict(Estimate(unknown=("a/b: gated",)), gpu(0, 4)).verdict is Verdict.UNKNOWN
    assert verdict(Estimate(), gpu(0, 4), needs_gpu=True).verdict is Verdict.UNKNOWN
    assert verdict(needing(8, 10, 12, unknown=("x",)), gpu(0, 24)).verdict is Verdict.UNKNOWN
    assert verdict(needing(8, 10, 12, unknown=("x",)), gpu(0, 9)).verdict is Verdict.UNKNOWN
    assert verdict(needing(8, 10, 12, unknown=("x",)), gpu(0, 7)).verdict is Verdict.TOO_SMALL
    assert verdict(needing(8, 10, 12), replace(gpu(0, 24), free_bytes=None)).verdict is Verdict.UNKNOWN


def test_the_freest_card_is_taken_and_only_that() -> None:
    fit = verdict(needing(8, 10, 12), gpu(0, 2, 24), gpu(1, 20, 24), gpu(2, 13, 24))
    assert (fit.verdict, [device.index for device in fit.gpus]) == (Verdict.FITS, [1])


def test_weights_with_a_device_map_are_spread_over_cards_where_one_is_too_small() -> None:
    cards = (gpu(0, 16), gpu(1, 20))
    assert verdict(needing(28, 30, 32), *cards).verdict is Verdict.TOO_SMALL
    fit = verdict(needing(28, 30, 32, spread=True), *cards)
    assert (fit.verdict, [device.index for device in fit.gpus]) == (Verdict.FITS, [1, 0])
    assert [device.index for device in verdict(needing(8, 10, 12, spread=True), *cards).gpus] == [1]


def test_where_nothing_is_known_all_cards_are_given_the_freest_first() -> None:
    fit = verdict(Estimate(unknown=("x",)), gpu(0, 2, 24), gpu(1, 20, 24))
    assert [device.index for device in fit.gpus] == [1, 0]


def test_a_choice_of_the_user_is_kept_as_it_is() -> None:
    fit = verdict(needing(8, 10, 12), gpu(0, 4, 24), gpu(1, 20, 24), choice="0")
    assert (fit.verdict, [device.index for device in fit.gpus]) == (Verdict.TOO_SMALL, [0])
    both = verdict(needing(3, 3, 3), gpu(0, 4, 24), gpu(1, 20, 24), choice="0,1")
    assert (both.verdict, [device.index for device in both.gpus]) == (Verdict.FITS, [0, 1])


def test_a_mig_instance_counts_for_itself_and_its_parent_not_at_all() -> None:
    parent = gpu(0, 70, 80, mig=Mig("parent"))
    small = gpu(0, 9, uuid="MIG-1", mig=Mig("instance", parent="GPU-0", ordinal=0))
    large = gpu(0, 19, uuid="MIG-2", mig=Mig("instance", parent="GPU-0", ordinal=1))
    fit = verdict(needing(8, 10, 12), parent, small, large)
    assert (fit.verdict, [device.uuid for device in fit.gpus]) == (Verdict.FITS, ["MIG-2"])
    assert verdict(needing(28, 30, 32), parent, small, large).verdict is Verdict.TOO_SMALL


def test_a_number_of_bytes_fits_or_not() -> None:
    assert verdict(exactly(18 * GIB), gpu(0, 18)).verdict is Verdict.FITS
    assert verdict(exactly(18 * GIB), gpu(0, 17.9)).verdict is Verdict.TOO_SMALL


# NVML's totals of common cards in MiB, of which a desktop and the driver hold some 300.
CARDS = {6: 6144, 8: 8188, 12: 12288, 16: 15360, 24: 24564, 48: 49140}


def on_card(gigabytes: int, *models, **assumed) -> Verdict:
    taken = estimate(models, setting(**assumed))
    return verdict(taken, gpu(0, (CARDS[gigabytes] - 300) / 1024)).verdict


@pytest.mark.parametrize(
    ("form", "verdicts"),
    [
        ("float16", {6: "too_small", 8: "too_small", 12: "too_small", 16: "tight", 24: "fits"}),
        ("int8", {6: "too_small", 8: "tight", 12: "fits", 16: "fits", 24: "fits"}),
        ("nf4", {6: "tight", 8: "fits", 12: "fits", 16: "fits", 24: "fits"}),
    ],
)
def test_alpaca_lora_on_cards_of_6_to_24_gigabytes(form: str, verdicts: dict) -> None:
    found = {card: on_card(card, true("llama-7b", form), max_new_tokens=128).value for card in verdicts}
    assert found == verdicts


def test_33b_in_4_bits_goes_on_24_gigabytes_and_65b_on_48() -> None:
    assert on_card(24, true("llama-30b", "nf4-dq"), max_new_tokens=256) is Verdict.FITS
    assert on_card(24, true("llama-30b", "nf4-dq"), max_new_tokens=1024) is Verdict.TIGHT
    assert on_card(24, true("llama-30b", "int8"), max_new_tokens=256) is Verdict.TOO_SMALL
    assert on_card(48, true("llama-65b", "nf4-dq"), max_new_tokens=256) in {Verdict.FITS, Verdict.TIGHT}
    assert on_card(48, true("llama-65b", "int8"), max_new_tokens=256) is Verdict.TOO_SMALL


def told(taken, *devices, models=(), assumed=None, variables=(), hidden=(), choice="auto") -> list[str]:
    report = DeviceReport(devices, hidden=hidden)
    fit = judge(taken, report, choice, needs_gpu=True)
    assert fit.verdict is Verdict.TOO_SMALL
    return list(advice(Case(fit, report, models, assumed, "spacerun launch owner/name", variables)))


def test_a_freer_card_comes_first() -> None:
    lines = told(needing(8, 10, 12), gpu(0, 4, 24), gpu(1, 20, 24), choice="0")
    assert lines[0] == "GPU 1 (NVIDIA A10G) has 20.0 GiB free: spacerun launch owner/name --gpu 1"


def test_a_hidden_card_is_named() -> None:
    lines = told(needing(8, 10, 12), gpu(0, 4, 24), hidden=(gpu(1, 20, 24),))
    assert "hidden: unset CUDA_VISIBLE_DEVICES" in lines[0]


def test_the_process_that_holds_the_memory_is_named() -> None:
    holder = GpuProcess(4321, 19 * GIB, "python3")
    lines = told(needing(8, 10, 12), gpu(0, 5, 24, processes=(GpuProcess(7, GIB // 8, "Xorg"), holder)))
    assert lines[0].startswith("Process 4321 (python3) holds 19.0 GiB of GPU 0; without it the Space fits.")
    assert not any("Xorg" in line for line in lines)


def test_a_switch_in_the_code_is_named_before_edits() -> None:
    model, assumed = true("llama-7b"), setting()
    lines = told(
        estimate([model], assumed), gpu(0, 9), models=[model], assumed=assumed, variables=("HOME", "LOAD_8BIT")
    )
    assert "LOAD_8BIT" in lines[0]
    assert "--env LOAD_8BIT=1" in lines[0]
    assert "load_in_8bit=True at app.py:1" in lines[1]


def test_four_bits_are_advised_where_eight_do_not_suffice() -> None:
    model, assumed = true("llama-7b"), setting()
    lines = told(estimate([model], assumed), gpu(0, 6), models=[model], assumed=assumed)
    assert "load_in_4bit=True" in lines[0]
    assert not any("load_in_8bit" in line for line in lines)


def test_offloading_is_advised_for_a_pipeline() -> None:
    model, assumed = true("flux-1-dev"), setting()
    lines = told(estimate([model], assumed), gpu(0, 30), models=[model], assumed=assumed)
    assert any(".enable_model_cpu_offload() after app.py:1" in line for line in lines)


def test_common_cards_that_have_enough_are_named() -> None:
    (line,) = told(needing(18, 20, 30), gpu(0, 4))
    assert line == "Cards that have enough: L4, A10G 24 GB (tight); RTX 3090, 4090 24 GB (tight); RTX 5090 32 GB."


def test_a_space_that_runs_without_a_gpu_is_told_so() -> None:
    model, assumed = plain(12), setting(needs_gpu=False)
    assert any(
        "--gpu none" in line for line in told(estimate([model], assumed), gpu(0, 4), models=[model], assumed=assumed)
    )
