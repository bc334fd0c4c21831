"""What others wrote reaches a page by `shown` or `markdown` alone: the dashboard's own source is read for it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dashboard

FOLDER = Path(dashboard.__file__).parent
PLAIN = {"text": (0,), "code": (0,)}
"""What shows its text as it is -> which of its arguments are texts."""
HTML = {"html": (0,)}
READS_MARKDOWN = {
    "button": (0,), "caption": (0,), "checkbox": (0,), "dialog": (0,), "download_button": (0,), "error": (0,),
    "exception": (0,), "expander": (0,), "feedback": (0,), "form_submit_button": (0,), "header": (0,),
    "info": (0,), "link_button": (0,), "markdown": (0,), "metric": (0, 1, 2), "multiselect": (0, 1),
    "number_input": (0,), "page_link": (1,), "pills": (0, 1), "popover": (0,), "radio": (0, 1),
    "segmented_control": (0, 1), "selectbox": (0,), "spinner": (0,), "status": (0,), "subheader": (0,),
    "success": (0,), "tabs": (0,), "text_area": (0,), "text_input": (0,), "title": (0,), "toast": (0,),
    "toggle": (0,), "warning": (0,), "write": (0, 1, 2, 3),
    # Ours, which hand their argument on to one of these.
    "empty": (0,), "reason_for": (0,), "turn": (3, 4), "_one_of": (0,), "_text": (0, 2),
}  # fmt: skip
TEXTS = {"label", "body", "help", "placeholder", "title", "captions", "first", "further", "caption"}
OURS = {"markdown", "count", "age", "both", "clock", "len", "_values", "_providers"}
"""Functions whose answer is ours, or escaped."""
DECLARED = {("asked", "question"), ("asked", "hint"), ("act", "content"), ("aside", "question"), ("aside", "hint")}
"""What the gateway itself declares of an act of people."""


def strangers(source: str) -> Iterator[str]:
    """Name the calls that give a page a text which may be another's, unescaped."""
    tree = ast.parse(source)
    for function in [tree, *(each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))]:
        handed_on = parameters(function) if getattr(function, "name", "") in READS_MARKDOWN else set()
        for call in calls(function):
            name = sink(call.func)
            good = OURS | ({"shown", "lines"} if name in PLAIN else {"escape"} if name in HTML else set())
            if not all(is_ours(leaf, good, handed_on) for text in texts(call, name) for leaf in leaves(text)):
                yield f"{call.lineno}: {ast.unparse(call)}"


def calls(function: ast.AST) -> Iterator[ast.Call]:
    """The calls of one function, without those of the functions in it."""
    for each in ast.iter_child_nodes(function):
        if isinstance(each, ast.Call) and sink(each.func):
            yield each
        if not isinstance(each, ast.FunctionDef):
            yield from calls(each)


def sink(called: ast.expr) -> str:
    """Give the name of what shows a text: a method, or a function of the same module."""
    name = name_of(called)
    is_one = name in {*PLAIN, *HTML, *READS_MARKDOWN} and (isinstance(called, ast.Attribute) or name.startswith("_"))
    return name if is_one else ""


def parameters(function: ast.AST) -> set[str]:
    assert isinstance(function, ast.FunctionDef)
    return {each.arg for each in (*function.args.args, *function.args.kwonlyargs)}


def texts(call: ast.Call, name: str) -> list[ast.expr]:
    places = {**PLAIN, **HTML, **READS_MARKDOWN}[name]
    named = [each.value for each in call.keywords if each.arg in TEXTS]
    return [each for place, each in enumerate(call.args) if place in places] + named


def name_of(called: ast.expr) -> str:
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""


def leaves(text: ast.expr) -> Iterator[ast.expr]:
    """Take a text apart into what it is put together from."""
    match text:
        case ast.IfExp(body=one, orelse=other):
            parts = [one, other]
        case ast.BoolOp(values=parts):
            pass
        case ast.JoinedStr(values=parts) | ast.Tuple(elts=parts) | ast.Call(func=ast.Name(id="list"), args=parts):
            pass
        case ast.FormattedValue(format_spec=ast.JoinedStr(values=[ast.Constant(value=str(spec))])):
            parts = [] if spec == "," or "%" in spec else [ast.Name("a word")]  # a number, or a time
        case ast.FormattedValue(value=value):
            parts = [value]
        case _:
            yield text
            return
    for each in parts:
        yield from leaves(each)


def is_ours(leaf: ast.expr, good: set[str], handed_on: set[str]) -> bool:
    """Tell whether nobody else can have written it."""
    match leaf:
        case ast.Constant() | ast.Name():
            return not isinstance(leaf, ast.Name) or leaf.id in handed_on or is_constant(leaf.id)
        case ast.Attribute(value=ast.Name(id=name), attr=field):
            return (name, field) in DECLARED
        case ast.Subscript(value=table):
            return is_constant(name_of(table))
        case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="get"), args=[_, ast.Constant()]):
            return is_constant(table)
        case ast.Call(func=called):
            return name_of(called) in good
        case _:
            return False


def is_constant(name: str) -> bool:
    return name.isupper()


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: str(file.relative_to(FOLDER)))
def test_no_text_of_others_reaches_a_page_unescaped(file: Path) -> None:
    assert list(strangers(file.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "st.caption(hold.reason)", "st.error(f'no: {why}')", "st.text(error)", "column.markdown(shown(why))",
        "st.button('Go', help=why)", "st.html(shown(why))",
        "frame.empty(why)", "st.radio('Which?', names)", "st.dialog(f'On {each.name}')",
    ],
)  # fmt: skip
def test_a_text_of_others_is_found(line: str) -> None:
    assert list(strangers(line)) == [f"1: {line}"]


@pytest.mark.parametrize(
    "line",
    [
        "st.caption(markdown(why))", "st.text(shown(why))", "st.info(f'{number:,} of {len(units)}')",
        "st.warning(words.HOLDING[scope])", "def empty(text):\n    st.info(text)", "st.radio('Why?', list(_REASONS))",
    ],
)  # fmt: skip
def test_a_text_of_ours_is_let_through(line: str) -> None:
    assert list(strangers(line)) == []
