"""The parts of a letter around its fields, each drawn on a `Sheet`, in its units. Taught in notebook 10."""

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from ocrkit.synth.ink import BICUBIC, one_of
from ocrkit.synth.joined import joined_ink
from ocrkit.synth.letter_sheet import HIGH, WIDE, Sheet
from ocrkit.synth.letter_text import fill, persian, phrases, pick, random_paragraphs, random_sender


def draw_head(sheet: Sheet, room: tuple[float, float], side: str, least: float, sender: str) -> float:
    """Draw opening words, emblem and sender, at a `side` of `room`; returns where the head ends, not above `least`."""
    rng, type_ = sheet.rng, sheet.print
    y, middle = rng.uniform(36, 52), sum(room) / 2
    if rng.random() < 0.75:
        x = middle if side == "center" else WIDE / 2
        small = type_.alef * rng.uniform(0.9, 1.1)
        if room[0] < x - 45 and x + 45 < room[1]:
            sheet.write(pick("opening", rng), x, y, small, type_.body, "letterhead", "center")
            y += 14
    alef = type_.alef * rng.uniform(1.25, 1.8)
    alef *= min(1.0, (room[1] - room[0] - 20) / sheet.measure(sender, type_.head, alef))
    wide = sheet.measure(sender, type_.head, alef)
    x = {"center": middle, "right": room[1] - wide / 2, "left": room[0] + wide / 2}[side]
    if rng.random() < 0.75:
        size = rng.uniform(38, 62)
        sheet.paste(_emblem(sheet, size), x - size / 2, y, kind="letterhead")
        y += size
    y += 1.75 * alef
    sheet.write(sender, x, y, alef, type_.head, "letterhead", "center")
    if rng.random() < 0.5:
        y += 2.2 * type_.alef
        sheet.write(pick("unit", rng), x, y, 0.95 * type_.alef, type_.head, "letterhead", "center")
    y = max(y + 1.1 * type_.alef, least + 8)
    if rng.random() < 0.6:
        for k in range(int(rng.integers(1, 3))):
            sheet.rule(50, y + 4 * k, WIDE - 50, y + 4 * k, rng.uniform(0.8, 2.5))
        y += 6
    return y


def draw_recipient(sheet: Sheet, right: float, base: float) -> float:
    """Draw to whom the letter goes, from `base` down at the right; returns the next baseline."""
    rng, type_ = sheet.rng, sheet.print
    alef, pitch = type_.alef * rng.uniform(1.0, 1.2), type_.alef * rng.uniform(2.5, 3)
    who = one_of(("جناب آقای", "سرکار خانم"), rng)
    lines = [f"{who} {pick('family', rng)}"] if rng.random() < 0.6 else []
    lines.append(f"{pick('to', rng)} {pick('unit', rng)}")
    if rng.random() < 0.35:
        lines = [f"به: {random_sender(rng)}", lines[-1]]
    for line in lines:
        sheet.write(line, right, base, alef, type_.head if rng.random() < 0.3 else type_.body, "recipient")
        base += pitch
    return base


def draw_text(sheet: Sheet, edges: tuple[float, float], base: float, lowest: float) -> float:
    """Draw salutation and paragraphs between left and right `edges`, down to `lowest`; returns the next baseline."""
    rng, face, alef = sheet.rng, sheet.print.body, sheet.print.alef
    left, right = edges
    pitch, indent, space = alef * rng.uniform(2.4, 3.3), rng.uniform(0, 30), 0.65 * alef
    justified = rng.random() < 0.6
    if rng.random() < 0.85:
        sheet.write(pick("greeting", rng), right - indent, base, alef, face, "body")
        base += pitch
    lengths = rng.integers(2, 8, size=rng.integers(2, 5) if rng.random() < 0.85 else 1)
    for paragraph in random_paragraphs(rng, lengths.tolist()):
        words = paragraph.split()
        widths = [sheet.measure(word, face, alef) for word in words]
        start = right - indent
        while words and base < lowest:
            ends = np.cumsum([w + space for w in widths]) - space
            n = max(1, int(np.searchsorted(ends, start - left, side="right")))
            full = start - left if justified and n < len(words) else None
            sheet.write_words(words[:n], start, base, alef, face, full, space)
            words, widths, start = words[n:], widths[n:], right
            base += pitch
        base += pitch * rng.uniform(0, 0.4)
    return base


def draw_signature(sheet: Sheet, x: float, base: float, sender: str) -> float:
    """Draw the closing words, name, role and strokes of a pen around the middle `x`; returns the last baseline."""
    rng, type_ = sheet.rng, sheet.print
    pitch = 2.5 * type_.alef
    lines = [pick("close", rng)] if rng.random() < 0.7 else []
    lines += [pick("family", rng)] if rng.random() < 0.8 else []
    lines += [pick("role", rng)]
    lines += [sender] if rng.random() < 0.3 else []
    for line in lines:
        sheet.write(line, x, base, type_.alef, type_.body, "signature", "center")
        base += pitch
    if rng.random() < 0.85:
        wide, high = rng.uniform(70, 150), rng.uniform(35, 70)
        strokes = _scribble(sheet, wide, high)
        at = x + rng.uniform(-30, 30) - wide / 2, base - pitch * rng.uniform(0.5, 2.5) - high / 2
        sheet.paste(strokes, *at, rng.uniform(0.6, 1.0), "signature")
    return base


def draw_stamp(sheet: Sheet, x: float, y: float, sender: str) -> None:
    """Press a round or rectangular stamp over (x, y), turned and in grey; those of a registry carry a date."""
    rng, scale = sheet.rng, 2 * sheet.across  # drawn twice as large
    if rng.random() < 0.55:
        lines, wide = [sender, pick("stamp", rng)], rng.uniform(90, 125)
        high = wide
    else:
        lines, wide, high = [pick("stamp", rng)], rng.uniform(110, 150), rng.uniform(45, 62)
        if rng.random() < 0.5:
            lines.append(fill("{date}" if rng.random() < 0.6 else "{number}", rng))
    image = Image.new("L", (round(wide * scale), round(high * scale)))
    draw, edge = ImageDraw.Draw(image), max(2, round(1.6 * scale))
    shape = draw.ellipse if high == wide else draw.rectangle
    shape((1, 1, image.width - 2, image.height - 2), outline=255, width=edge)
    if rng.random() < 0.6:
        inner = 3 * edge
        shape((inner, inner, image.width - 1 - inner, image.height - 1 - inner), outline=255, width=max(1, edge // 2))
    for k, line in enumerate(lines):
        ink = Image.fromarray(joined_ink(line, sheet.print.head, sheet.arabic))
        part = min(0.78 * image.width / ink.width, 0.7 * image.height / len(lines) / ink.height * 1.5)
        ink = ink.resize((max(1, round(ink.width * part)), max(1, round(ink.height * part))), BICUBIC)
        middle = image.height * ((k + 1) / (len(lines) + 1) - 0.02)
        image.paste(255, (round((image.width - ink.width) / 2), round(middle - ink.height * 0.45)), ink)
    image = image.rotate(float(rng.normal(0, 9)), BICUBIC, expand=True).reduce(2)
    # Rubber takes up ink unevenly.
    worn = Image.fromarray(rng.uniform(140, 256, (4, 4)).astype(np.uint8)).resize(image.size, BICUBIC)
    at = x - image.width / sheet.across / 2, y - image.height / sheet.down / 2
    sheet.paste(ImageChops.multiply(image, worn), *at, rng.uniform(0.4, 0.75), "stamp")


def draw_foot(sheet: Sheet) -> None:
    """Draw the line at the foot of the page with an address and a phone number."""
    rng, face = sheet.rng, sheet.print.body
    base, alef = HIGH - rng.uniform(38, 55), sheet.print.alef * rng.uniform(0.68, 0.82)
    if rng.random() < 0.8:
        sheet.rule(50, base - 2.2 * alef, WIDE - 50, base - 2.2 * alef, rng.uniform(0.7, 1.6))
    where = f"{pick('city', rng)}، {pick('street', rng)}، پلاک {persian(int(rng.integers(1, 300)))}"
    text = fill(f"نشانی: {where} - تلفن: {{phone}}", rng)
    if rng.random() < 0.4:
        text += f" - کد پستی: {persian(int(rng.integers(10**9, 10**10)))}"
    alef *= min(1.0, (WIDE - 120) / sheet.measure(text, face, alef))
    sheet.write(text, WIDE / 2, base, alef, face, "footer", "center")


def draw_copies(sheet: Sheet, right: float, base: float) -> None:
    """Draw the list of those who get a copy, small, at the right."""
    rng, alef = sheet.rng, 0.8 * sheet.print.alef
    lines = rng.choice(phrases()["copy"], int(rng.integers(1, 4)), replace=False).tolist()
    for k, line in enumerate(["رونوشت:", *(f"- {line}" for line in lines)]):
        sheet.write(line, right, base + k * 2.4 * alef, alef, sheet.print.body, "footer")


def _emblem(sheet: Sheet, size: float) -> Image.Image:
    """A sign of simple shapes, `size` units wide: a ring, a wheel, a star or leaves."""
    rng, pixels = sheet.rng, (round(4 * size * sheet.across), round(4 * size * sheet.down))
    image, half = Image.new("L", pixels), np.array(pixels) / 2
    draw = ImageDraw.Draw(image)

    def polar(radius: float, turn: float) -> tuple[float, float]:
        return tuple((half * (1 + radius * np.array([np.sin(turn), -np.cos(turn)]))).tolist())

    def ring(outer: float, inner: float) -> None:
        for radius, ink in ((outer, 255), (inner, 0)):
            draw.ellipse([*(half * (1 - radius)), *(half * (1 + radius))], ink)

    points, inner = one_of((3, 5, 7, 8), rng), rng.uniform(0.3, 0.6)
    turns = np.arange(2 * points) * np.pi / points
    if rng.random() < 0.5:
        ring(0.97, rng.uniform(0.8, 0.9))
    kind, reach = rng.integers(3), rng.uniform(0.65, 0.78)
    if kind == 0:  # a star
        draw.polygon([polar(reach if k % 2 == 0 else inner * reach, t) for k, t in enumerate(turns)], 255)
    elif kind == 1:  # a wheel
        for t in turns:
            draw.line([*polar(0.2, t), *polar(reach, t)], 255, max(2, round(0.09 * half[0])))
        ring(inner * 0.8, inner * 0.45)
    else:  # leaves
        for t in turns[::2]:
            width = rng.uniform(0.25, 0.4)
            draw.polygon([polar(0.08, t), polar(inner, t - width), polar(reach, t), polar(inner, t + width)], 255)
    return image.reduce(4)


def _scribble(sheet: Sheet, wide: float, high: float) -> Image.Image:
    """The loops of a signature, `wide` x `high` units."""
    rng, size = sheet.rng, (round(2 * wide * sheet.across), round(2 * high * sheet.down))
    image, t = Image.new("L", size), np.linspace(0, 1, 90)
    for part in range(int(rng.integers(1, 3))):
        loops, lean = rng.uniform(2, 5), rng.uniform(0.5, 2.5)
        x = t if rng.random() < 0.8 else 1 - t
        x = x + rng.uniform(0.08, 0.2) * np.sin(2 * np.pi * loops * t)
        y = np.sin(2 * np.pi * loops * t + lean) * (1 - 0.7 * t) + 0.5 * np.sin(2 * np.pi * rng.uniform(0.3, 1.2) * t)
        if part:
            y = rng.uniform(-0.3, 0.3) * t + rng.uniform(0.1, 0.6)
        points = np.stack([(x - x.min()) / np.ptp(x) * 0.92 + 0.04, (y + 1.6) / 3.2 * 0.92 + 0.04], 1) * size
        thick = max(2, round(rng.uniform(2.2, 4.5) * sheet.across))
        ImageDraw.Draw(image).line([tuple(p) for p in points.tolist()], 255, thick, "curve")
    return image.reduce(2)
