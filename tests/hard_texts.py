"""Texts that are hard on tokenizers: words with traps, and any characters of
Unicode 14 by their category. Seeded."""

import random
import unicodedata

# What Unicode 15 added: Python may know it, the tables compared here need not.
LATER = [(0xCF3, 0xCF3), (0xECE, 0xECE), (0x10EFD, 0x10EFF), (0x1123F, 0x11241),
         (0x11B00, 0x11B09), (0x11F00, 0x11F59), (0x1342F, 0x1342F),
         (0x13439, 0x13455), (0x1B132, 0x1B132), (0x1B155, 0x1B155),
         (0x1D2C0, 0x1D2D3), (0x1DF25, 0x1DF2A), (0x1E030, 0x1E08F),
         (0x1E4D0, 0x1E4F9), (0x1F6DC, 0x1F6DC), (0x1F774, 0x1F776),
         (0x1F77B, 0x1F77F), (0x1F7D9, 0x1F7D9), (0x1FA75, 0x1FA77),
         (0x1FA87, 0x1FA88), (0x1FAAD, 0x1FAAF), (0x1FABB, 0x1FABD),
         (0x1FABF, 0x1FABF), (0x1FACE, 0x1FACF), (0x1FADA, 0x1FADB),
         (0x1FAE8, 0x1FAE8), (0x1FAF7, 0x1FAF8), (0x31350, 0x323AF)]


def characters_by_category():
    known = {}
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        later = any(first <= code <= last for first, last in LATER)
        if category not in ("Cn", "Cs") and not later:
            known.setdefault(category, []).append(chr(code))
    return known


CHARACTERS = characters_by_category()
ALL = [c for members in CHARACTERS.values() for c in members]
WORDS = [
    "hello", "World", "don't", "I'LL", "it's", "we're", "TOKEN", "na\u00efve", "  ",
    "\n", "\r\n", "\t", "\n\n ", "123", "4567890", "3.14", "a1b2", "_x_", "<s>", "</s>",
    "[CLS]", "[UNK]", "<unk>", "\u2581", "\u2581\u2581a", "##a", "\u4f60\u597d",
    "\u4e16\u754c", "\ud55c\uad6d", "\u65e5\u672c\u8a9e\u30ab", "\u0939\u093f\u0928",
    "\u0e44\u0e17\u0e22", "\u0639\u0631\u0628", "\U0001f914",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "e\u0301", "\u1e9b\u0323", "\ufb01",
    "\u212b", "\u017f", "\u212a", "'\u017f", "'S", "'lL", "!!", "...", "(a)",
    "http://x.y/z?q=1", "\0", "\ufeff", "\u200b", "\u00a0", "\u3000", "\u0085",
    "\u0130", "\u00df", "\u2026", "\u2014", "fi\u0308", "<0x41>", "\u0120", "\u00a1",
    "\u180e"]


def hard_text(rng):
    kind = rng.random()
    if kind < 0.35:
        return "".join(rng.choice(["", "", " ", " ", "  "]) + rng.choice(WORDS)
                       for _ in range(rng.randint(0, 14)))
    if kind < 0.6:
        return "".join(rng.choice(ALL) for _ in range(rng.randint(0, 30)))
    if kind < 0.85:
        categories = sorted(CHARACTERS)
        return "".join(rng.choice(CHARACTERS[rng.choice(categories)])
                       for _ in range(rng.randint(0, 40)))
    if kind < 0.95:
        return "".join(rng.choice(" \n\r\tab'1sS.A") for _ in range(rng.randint(0, 40)))
    return "".join(chr(rng.randint(0, 0x24f)) for _ in range(rng.randint(0, 60)))


def hard_texts(count, seed):
    rng = random.Random(seed)
    return [hard_text(rng) for _ in range(count)]


def corpus(seed):
    rng = random.Random(seed)
    plain = "the quick brown fox jumps over the lazy dog's back, isn't it? don't we're "
    return ([plain * 3]
            + [" ".join(rng.choice(WORDS) for _ in range(20)) for _ in range(300)]
            + [hard_text(rng) for _ in range(300)])
