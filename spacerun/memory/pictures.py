"""What a diffusion pipeline takes beside its weights while it draws: the denoiser at work, then the decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spacerun.memory.config import count
from spacerun.memory.term import Span, Term

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spacerun.memory.model import Part
    from spacerun.memory.sizes import Sizes

DENOISERS: Final = ("unet", "transformer", "transformer_2", "prior", "decoder")
_KIB: Final = 1024
# KiB that are taken for each pixel of the picture, least, usual, most. Fitted to published measurements
# (docs/memory.md): decoding, FLUX.1 in bfloat16 at 1024²: 36.17 GiB at most, 31.45 loaded; SDXL in float16, four
# pictures: 21.7 GB, 7 loaded. Denoising: FLUX.1 with only the transformer on the GPU: 23.27 GiB, 22.2 of them weights.
_DECODING: Final = (2.0, 3.4, 6.0)
_DENOISING: Final = (0.4, 1.1, 2.2)
_DECODING_SOURCE: Final = "fitted to huggingface.co/blog/diffusers-quantization and blog/simple_sdxl_optimizations"
_DENOISING_SOURCE: Final = "fitted to huggingface.co/blog/diffusers-quantization"
# The side of a picture where neither code nor config gives it, and that of a tile under `enable_vae_tiling`.
_SIDE: Final = 1024
_TILE: Final = 512
# Pixels along a side for one number of the latent picture (diffusers, `vae_scale_factor`).
_SCALE: Final = 8
# A frame of a video is decoded beside a few others only (diffusers, causal VAEs).
_FRAMES_AT_ONCE: Final = 16


def working(of: str, parts: Sequence[Part], sizes: Sizes, savers: Sequence[str], *, sdpa: bool) -> tuple[Term, Term]:
    """What the denoiser, and after it the decoder, takes.

    Args:
        of: The model.
        parts: Its parts.
        sizes: What the code asks for.
        savers: What the code does for it to take less (`enable_vae_tiling`, …).
        sdpa: Whether PyTorch's attention without a score matrix is used (PyTorch 2.0 and later).
    """
    config: Mapping[str, Any] = next((part.config for part in parts if part.name in DENOISERS and part.config), {})
    side = count(config, "sample_size") * _SCALE or _SIDE
    usual = (sizes.usual("height") or side) * (sizes.usual("width") or side)
    largest = max(usual, (sizes.largest("height") or side) * (sizes.largest("width") or side))
    images = sizes.usual("num_images_per_prompt", "batch_size") or 1
    most = sizes.largest("num_images_per_prompt", "batch_size") or 1
    frames = min(sizes.usual("num_frames") or 1, _FRAMES_AT_ONCE)
    pixels = (min(usual, side * side), usual * images * frames, largest * most * frames)
    denoising = Span(*(round(each * _KIB * area) for each, area in zip(_DENOISING, pixels, strict=True)))
    size = f"{images} × {usual} pixels" + (f" × {frames} frames" if frames > 1 else "")
    formula = f"{size} × {_DENOISING[1]} KiB"
    # A matrix of scores: two pictures (with and without prompt), 8 heads, 2 bytes (diffusers, `AttnProcessor`).
    latents = usual // _SCALE**2
    if not sdpa and latents <= 96 * 96 and not any("attention" in saver for saver in savers):
        scores = 2 * 8 * latents * latents * 2 * images
        denoising += Span(0, scores, scores)
        formula += f" + attention scores of {latents} × {latents} (no scaled dot product attention)"
    decoded = list(pixels)
    if any("slicing" in saver and "attention" not in saver for saver in savers):
        decoded = [min(area, largest * frames) for area in decoded]
    if any("tiling" in saver for saver in savers):
        decoded = [min(area, 2 * _TILE * _TILE * frames) for area in decoded]
    decoding = Span(*(round(each * _KIB * area) for each, area in zip(_DECODING, decoded, strict=True)))
    return (
        Term("activations", f"{of} (denoising)", denoising, formula, _DENOISING_SOURCE),
        Term(
            "activations",
            f"{of} (decoding)",
            decoding,
            f"{decoded[1]} pixels × {_DECODING[1]} KiB",
            _DECODING_SOURCE,
        ),
    )
