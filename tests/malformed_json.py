"""Lines of JSON that are none, that only some readers take, or that are no row; and what is said of each."""

from __future__ import annotations

NO_JSON = {  # a line of JSON lines, or a row of a list: what is said of it
    "cut": (b'{"input": "x", "target": ', "not valid JSON"),
    "cut-string": (b'{"input": "x', "was it cut off?"),
    "comma": (b'{"input": "x", "target": "y",}', "not valid JSON"),
    "single-quotes": (b"{'input': 'x', 'target': 'y'}", "double quotes"),
    "no-colon": (b'{"input" "x"}', "expecting ':' delimiter"),
    "bare-key": (b'{input: "x"}', "double quotes"),
    "bare-value": (b'{"input": x}', "not valid JSON"),
    "none": (b'{"input": None}', "not valid JSON"),
    "true": (b'{"input": True}', "not valid JSON"),
    "comment": (b'{"input": "x"} // why', "not valid JSON"),
    "two": (b'{"input": "x"} {"input": "z"}', "more follows where the value ends"),
    "extra-brace": (b'{"input": "x"}}', "more follows where the value ends"),
    "zero": (b'{"input": "x", "n": 01}', "not valid JSON"),
    "plus": (b'{"input": "x", "n": +1}', "not valid JSON"),
    "point": (b'{"input": "x", "n": .5}', "not valid JSON"),
    "hex": (b'{"input": "x", "n": 0x10}', "not valid JSON"),
    "escape": (b'{"input": "\\x41"}', "not valid JSON: invalid \\escape"),
    "unicode-escape": (b'{"input": "\\u12G4"}', "not valid JSON: invalid \\uXXXX escape"),
    "tab": (b'{"input": "a\tb"}', "invalid control character"),
    "nul": (b'{"input": "a\0b"}', "invalid control character"),
    "nul-line": (b"\0\0\0\0", "not valid JSON"),
    "mark": (b'\xef\xbb\xbf{"input": "x"}', "not valid JSON"),
    "markup": (b"<html><body>502 Bad Gateway</body></html>", "not valid JSON"),
}
NOT_STRICT = {  # JSON to some readers, and read with a mistake by them
    "nan": (b'{"input": NaN}', "NaN is no JSON number"),
    "infinity": (b'{"input": "x", "n": Infinity}', "Infinity is no JSON number"),
    "minus-infinity": (b'{"input": "x", "n": -Infinity}', "-Infinity is no JSON number"),
    "nested-nan": (b'{"input": "x", "n": [1, {"a": NaN}]}', "NaN is no JSON number"),
    "huge": (b'{"input": "x", "n": 1e999}', "the number 1e999 is too large"),
    "digits": (b'{"input": "x", "n": ' + b"7" * 5_000 + b"}", "thousands of digits"),
    "twice": (b'{"input": "x", "input": "z"}', 'the key "input" stands twice'),
    "nested-twice": (b'{"input": "x", "m": {"a": 1, "a": 2}}', 'the key "a" stands twice'),
    "high-half": (b'{"input": "\\ud83d"}', "half of a surrogate pair"),
    "low-half": (b'{"input": "\\udE00 x"}', "half of a surrogate pair"),
    "turned-pair": (b'{"input": "\\ude00\\ud83d"}', "half of a surrogate pair"),
    "half-in-key": (b'{"in\\ud800put": "x"}', "half of a surrogate pair"),
    "nested-half": (b'{"input": [{"a": "\\udfff"}]}', "half of a surrogate pair"),
    "deep-lists": (b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper than 200"),
    "deep-objects": (b'{"a": ' * 100_000 + b"1" + b"}" * 100_000, "nested deeper than 200"),
    "rather-deep": (b"[" * 201 + b"]" * 201, "nested deeper than 200"),
}
NOT_UTF8 = {
    "latin": b"caf\xe9",
    "overlong": b"\xc0\x80",
    "surrogate": b"\xed\xa0\x80",
    "cut-character": b"\xe2\x82",
    "beyond": b"\xf5\x80\x80\x80",
    "lone-continuation": b"a\x80b",
}
NO_ROW = {
    "list": (b'["x", "y"]', "found a list"),
    "number": (b"17", "found a number"),
    "string": (b'"x"', "found a string"),
    "null": (b"null", "found null"),
    "truth": (b"true", "found a truth value"),
}
