"""Answers of encoders as conditions, and back."""

import torch

from latentlab.generator.pipelines.remembered import Form


def answers(captions: int, length: int, *, mask: bool):
    """Of an encoder that leaves its mask out where every token counts, asked twice, as under guidance."""
    tokens = torch.arange(captions * length * 3.0).reshape(captions, length, 3)
    told = (torch.arange(length) < length - 1).long().expand(captions, -1) if mask else None
    return [("encode_prompt", (tokens, told)), ("encode_prompt", (tokens + 1, told))]


def test_a_mask_that_is_left_out_is_no_mask_of_another_caption():
    form = Form.of(answers(1, 8, mask=True), answers(2, 8, mask=True))
    given = answers(1, 4, mask=False)
    (_, (tokens, mask)), (_, (more, other)) = form.answer(form.condition(given))
    assert torch.equal(tokens, given[0][1][0])
    assert torch.equal(more, given[1][1][0])
    assert mask.tolist() == [[1, 1, 1, 1]]
    assert other is None


def test_a_mask_that_two_captions_leave_out_is_known_as_one():
    form = Form.of(answers(1, 8, mask=True), answers(2, 8, mask=False))
    assert form.mask == "0.encode_prompt/1"
    given = answers(1, 8, mask=True)
    assert torch.equal(form.answer(form.condition(given))[0][1][1], given[0][1][1])


def test_three_rows_of_a_caption_under_guidance_come_back_in_their_order():
    """Caption, image alone and neither, each of all captions before the next, as InstructPix2Pix asks its network."""
    plain = [[("encode_prompt", torch.full((n, 4, 8), 1.0) * torch.arange(n)[:, None, None])] for n in (1, 2)]
    rows = [torch.arange(3 * n).float()[:, None, None].expand(3 * n, 4, 8) for n in (1, 2)]
    one, two = ([("encode_prompt", t)] for t in rows)
    for form, answers in ((Form.of(one, two), two), (Form.of(one, plain=plain[0]), one)):
        condition = form.condition(answers)
        assert len(condition) == len(answers[0][1]) // 3
        assert torch.equal(form.answer(condition)[0][1], answers[0][1])
