"""Alphabets: which characters are read, which look alike, and what a plate may be. Taught in notebook 02."""

import re
import string
from collections.abc import Iterable

DIGITS = "0123456789"
# GA 36 never uses I or O after the province character, because they look like 1 and 0.
PLATE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
#: The character that opens a plate -> the province in English, for figures: matplotlib has no Chinese glyphs.
PROVINCE_NAMES = {
    "京": "Beijing", "津": "Tianjin", "沪": "Shanghai", "渝": "Chongqing", "冀": "Hebei", "豫": "Henan",
    "云": "Yunnan", "辽": "Liaoning", "黑": "Heilongjiang", "湘": "Hunan", "皖": "Anhui", "鲁": "Shandong",
    "新": "Xinjiang", "苏": "Jiangsu", "浙": "Zhejiang", "赣": "Jiangxi", "鄂": "Hubei", "桂": "Guangxi",
    "甘": "Gansu", "晋": "Shanxi", "蒙": "Inner Mongolia", "陕": "Shaanxi", "吉": "Jilin", "闽": "Fujian",
    "贵": "Guizhou", "粤": "Guangdong", "青": "Qinghai", "藏": "Tibet", "川": "Sichuan", "宁": "Ningxia",
    "琼": "Hainan",
}  # fmt: skip
PROVINCES = "".join(PROVINCE_NAMES)
# Marks that stand on police, trainer, Hong Kong, Macau, embassy, consulate and trailer plates.
PLATE_MARKS = "警学港澳使领挂"
PERSIAN_DIGITS = "۰۱۲۳۴۵۶۷۸۹"
ARABIC_DIGITS = "٠١٢٣٤٥٦٧٨٩"
PERSIAN_LETTERS = "ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"

#: Groups of characters that look alike. The Chinese ones are pairs of the list in Macielyoung/Confused_Chinese
#: (Apache-2.0), whose pictures are alike by 0.959 or more there, but for 人入 and 素索, which it lacks.
LOOK_ALIKES = (
    "未末", "己已巳", "土士", "日曰", "人入", "千干", "王玉", "大太", "刀刃", "午牛", "又叉", "今令", "元无", "乌鸟",
    "呜鸣", "凤风", "免兔", "字宇", "材村", "李季", "素索", "都郡", "住往", "侍待", "侯候", "仅仪", "抬拾", "拔拨",
    "冶治", "晴睛", "博搏", "戊戌戍", "0OD", "8B", "1I", "5S", "2Z",
)  # fmt: skip
#: Characters that stand between them in rendered lines; that list has none of them as alike to another one here.
UNLIKE = "的我国学家爱心安高马水山火车347AEHKMX"
#: The same for number plates.
PLATE_LOOK_ALIKES = ("0DOQ", "8B", "2Z", "5S", "CG", "EF", "VY", "挂桂")


def in_order(characters: str) -> str:
    return "".join(sorted(set(characters)))


#: Named alphabets. `plates-resnet` and `plates-vgg` are those of the two plate systems that the
#: course rebuilds: the first has O and no marks, the second has 警 and 学 and no O.
ALPHABETS = {
    "digits": DIGITS,
    "plates": in_order(DIGITS + PLATE_LETTERS + "O" + PROVINCES + PLATE_MARKS),
    "plates-resnet": in_order(DIGITS + PLATE_LETTERS + "O" + PROVINCES),
    "plates-vgg": in_order(DIGITS + PLATE_LETTERS + PROVINCES + "警学"),
    "look-alikes": in_order("".join(LOOK_ALIKES) + UNLIKE),
    "names": in_order(string.ascii_uppercase + "'- "),
    "persian-dates": in_order(PERSIAN_DIGITS + "/-."),
    "persian": in_order(PERSIAN_LETTERS + PERSIAN_DIGITS + " \u200c/-.:_()،"),
}
#: Those whose text stands on paper in another order than it is typed in. A date does not: it runs from left to right.
RIGHT_TO_LEFT = ("persian",)

_EITHER = PLATE_LETTERS + DIGITS
_NEW_ENERGY = (PROVINCES, PLATE_LETTERS)
#: Kind of plate -> the ways to write it: for each place the characters that may stand there.
PLATE_SLOTS = {
    "standard": [(PROVINCES, PLATE_LETTERS + "O", *[_EITHER] * 5)],
    "new energy": [
        (*_NEW_ENERGY, PLATE_LETTERS, _EITHER, *[DIGITS] * 4),
        (*_NEW_ENERGY, *[DIGITS] * 5, PLATE_LETTERS),
    ],
    "marked": [(PROVINCES, PLATE_LETTERS, *[_EITHER] * 4, "警学港澳领挂")],
    "embassy": [("使", *[DIGITS] * 6)],
}
#: Kind of plate -> what its text must look like.
PLATE_PATTERNS = {
    kind: re.compile("|".join("".join(f"[{slot}]" for slot in slots) for slots in ways))
    for kind, ways in PLATE_SLOTS.items()
}


def plate_kind(text: str) -> str | None:
    """Return the key of `PLATE_PATTERNS` that the whole of `text` fits, or None."""
    return next((kind for kind, p in PLATE_PATTERNS.items() if p.fullmatch(text)), None)


def brothers(groups: Iterable[str] = LOOK_ALIKES) -> dict[str, str]:
    """Character -> the others of its group of look-alikes. Taught in notebook 07."""
    return {c: group.replace(c, "") for group in groups for c in group}
