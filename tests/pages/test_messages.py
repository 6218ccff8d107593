"""The troubleshooting page quotes messages as the code has them; a page's snippet is the example's."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUOTED = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def texts_of(file: Path) -> list[str]:
    """Every text of a module, with … for what is filled in."""
    tree = ast.parse(file.read_text())
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values))
    return found


def test_every_message_of_the_troubleshooting_page_is_one_of_the_codes() -> None:
    files = [*ROOT.glob("autosched/**/*.py"), *ROOT.glob("workers/**/*.py")]
    texts = [text for file in files for text in texts_of(file)]
    messages = QUOTED.findall((ROOT / "docs/how-to/troubleshooting.md").read_text())
    patterns = {m: re.compile(".*".join(map(re.escape, m.strip("…").split("…"))), re.DOTALL) for m in messages}
    assert [message for message, pattern in patterns.items() if not any(map(pattern.search, texts))] == []
    assert len(messages) > 25


def test_the_lines_that_checkpoints_take_are_those_of_the_example() -> None:
    page = (ROOT / "docs/how-to/tune-a-script.md").read_text()
    example = (ROOT / "examples/nanogpt.py").read_text()
    lines = re.findall(r"^([+-])(.+)$", page.partition("```diff\n")[2].partition("```")[0], re.MULTILINE)
    assert [line for sign, line in lines if sign == "+" and f"{line}  #" not in example] == []
    assert [line for sign, line in lines if sign == "-"] == ["for step in range(args.steps):"]
    assert sum(sign == "+" for sign, _ in lines) <= 10
