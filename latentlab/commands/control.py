"""Commands that tell a generator where and what."""

from __future__ import annotations

from pathlib import Path

from latentlab.commands.loading import loaded, mask_of, told
from latentlab.commands.result import beside, fitted, record_of, say, tell, warned, written
from latentlab.control import extend, inpaint
from latentlab.video import check_target


def extend_command(
    video: str, *, by, caption, windows, out, seed, device, json, model, steps, method, guidance
) -> None:
    """A clip with more frames after its last."""
    from latentlab.study.fidelity import fidelity

    check_target(out)
    generator = loaded(model, device=device)
    condition = told(generator, caption, model)
    clip, note, fps = fitted(video, generator)
    known = fidelity(generator, clip)
    solving = {"windows": windows, "num_steps": steps, "method": method, "guidance": guidance}
    say(f"drawing {by} frames more, by {method} in {steps} steps")
    longer = extend(generator, clip, by, condition, seed=seed, **solving)
    file, measured = written(Path(out), longer.cpu(), fps)
    settings = {"video": video, "fitted": note, "by": by, "caption": caption, **solving}
    numbers = {**measured, "frames": file.shape[2], "warning": known.warning}
    record_of(generator, "extend", settings, seed, numbers, {"source": clip, "extended": file}).save(beside(out))
    tell({"file": out, **numbers}, json, [note, *warned(known), f"wrote {out}, {file.shape[2]} frames"])


def inpaint_command(
    video: str, *, mask, caption, start, grow, feather, refine, blend, out, seed, device, json, model, steps, method,
    guidance,
) -> None:  # fmt: skip
    """A clip with what a mask covers drawn anew."""
    from latentlab.study.fidelity import fidelity

    check_target(out)
    generator = loaded(model, device=device)
    clip, note, fps = fitted(video, generator)
    where = mask_of(mask, clip.shape[2:])
    settings = {
        "video": video, "fitted": note, "mask": mask, "caption": caption, "start": start, "grow": grow,
        "feather": feather, "refine": refine, "blend": blend,
    }  # fmt: skip
    solving = {"num_steps": steps, "method": method, "guidance": guidance}
    options = {"start": start, "grow": grow, "feather": feather, "refine": refine, "blend": blend}
    say(f"drawing what the mask covers, by {method} in {steps} steps")
    found = inpaint(generator, clip, where, told(generator, caption, model), seed=seed, **options, **solving)
    known = fidelity(generator, clip)
    file, measured = written(Path(out), found.video.cpu(), fps)
    numbers = {**found.numbers(), **measured, "warning": known.warning}
    frames = {"source": clip, "mask": where.expand(-1, 3, -1, -1, -1).mul(2).sub(1), "filled": file}
    record_of(generator, "inpaint", {**settings, **solving}, seed, numbers, frames).save(beside(out))
    near = (
        "" if Path(out).suffix in ("", ".mkv") else f"the file is {measured['file_psnr']} dB from that, an mkv is equal"
    )
    tell({"file": out, **numbers}, json, [note, *warned(known), *found.lines(), f"wrote {out}", near])
