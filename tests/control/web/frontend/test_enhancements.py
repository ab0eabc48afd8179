"""What the script does to a page, in a real browser, under the Content-Security-Policy of the real pages."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.control.web.frontend.sample_server import Sample, serve_sample
from tests.support.browser import PATIENCE
from tests.support.peers_program import eventually

TEN_POLLS = """() => new Promise(done => {
    let polls = 0;
    addEventListener("htmx:beforeRequest", () => ++polls === 10 && done());
})"""

pytestmark = pytest.mark.interop


@pytest.fixture
def sample() -> Iterator[Sample]:
    with serve_sample() as server:
        yield server


@pytest.fixture
def page(browser: Browser, sample: Sample) -> Iterator[Page]:
    """The sample, open; a script error or anything that the policy refuses fails the test."""
    context = browser.new_context(permissions=["clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda message: wrong.append(message.text) if "Content Security Policy" in message.text else None
    )
    page.goto(sample.url)
    yield page
    context.close()
    assert wrong == []


def open_modal(page: Page) -> None:
    page.click("#create")
    expect(page.locator("#modal")).to_have_attribute("open", "")


def test_a_modal_opens_with_the_focus_in_its_first_field_and_gives_it_back(page: Page) -> None:
    open_modal(page)
    expect(page.locator("#modal [name=name]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#modal")).not_to_have_attribute("open", "")
    expect(page.locator("#create")).to_be_focused()
    expect(page.locator("#modal")).to_be_empty()


def test_the_focus_stays_inside_a_modal(page: Page) -> None:
    open_modal(page)
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#modal')")


def test_a_refused_form_stays_open_with_the_focus_on_what_is_wrong(page: Page) -> None:
    open_modal(page)
    page.click("#modal .modal-footer button")
    expect(page.locator("#modal .is-invalid")).to_be_focused()
    expect(page.locator(".htmx-added, .htmx-settling")).to_have_count(0)
    expect(page.locator("#modal .is-invalid")).to_be_focused()


def test_an_accepted_form_closes_and_the_page_hears_of_it(page: Page) -> None:
    open_modal(page)
    page.fill("#modal [name=name]", "edge")
    page.click("#modal .modal-footer button")
    expect(page.locator("#modal")).not_to_have_attribute("open", "")
    expect(page.locator("#list")).to_have_text("new")
    expect(page.locator("#toasts")).to_have_text("Created")


def test_a_click_beside_a_modal_closes_it_unless_something_was_typed(page: Page) -> None:
    open_modal(page)
    page.mouse.click(5, 5)
    expect(page.locator("#modal")).not_to_have_attribute("open", "")
    open_modal(page)
    page.locator("#modal [name=name]").press_sequentially("e")
    page.mouse.click(5, 5)
    expect(page.locator("#modal [name=name]")).to_have_value("e")


def test_what_cannot_be_undone_is_asked_for_first(page: Page, sample: Sample) -> None:
    page.click("#delete-button")
    expect(page.locator("#confirm .modal-title")).to_have_text("Delete outpost edge?")
    expect(page.locator("#confirm [data-confirm-text]")).to_have_text("It stops.")
    expect(page.locator("#confirm [data-confirm-no]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#confirm")).to_have_count(0)
    assert not any(request.startswith("POST") for request in sample.asked)
    page.click("#delete-button")
    # A page that is closed while it navigates can hang the browser's driver, here and below.
    with page.expect_navigation():
        page.get_by_role("button", name="Delete", exact=True).last.click()
    assert any(request.startswith("POST /delete") for request in sample.asked)


def test_copying_and_revealing(page: Page) -> None:
    page.click("#copy")
    expect(page.locator("#copy .g-copied")).to_have_text("Copied")
    page.focus("[data-choose-filter]")
    page.keyboard.press("Control+v")
    expect(page.locator("[data-choose-filter]")).to_have_value("docker run garrison")
    page.click("#reveal")
    expect(page.locator("#token")).to_have_attribute("type", "text")
    page.click("#reveal")
    expect(page.locator("#token")).to_have_attribute("type", "password")


def test_times_are_relative_with_the_moment_on_hover(page: Page) -> None:
    expect(page.locator("#then")).to_have_text("3 minutes ago")
    expect(page.locator("#then")).to_have_attribute("title", re.compile(r"20\d\d"))
    expect(page.locator("#fixed")).to_have_text("then")


def test_a_menu_is_used_by_keyboard_and_closed_by_a_click_elsewhere(page: Page) -> None:
    menu = page.locator("#menu")
    page.focus("#menu summary")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#menu a").first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.locator("#menu a").last).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(page.locator("#menu summary")).to_be_focused()
    page.click("#menu summary")
    page.mouse.click(600, 5)
    expect(menu).not_to_have_attribute("open", "")


def test_the_theme_follows_the_system_until_one_is_chosen(page: Page) -> None:
    root = page.locator("html")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.click("#dark")
    expect(page.locator("#dark")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.click("#auto")
    expect(root).to_have_attribute("data-bs-theme", "light")


def test_a_filter_narrows_a_list_and_the_chosen_stand_first(page: Page) -> None:
    items = page.locator("#choose label")
    expect(items).to_have_text(["Grafana", "Wiki", "Mail"])
    expect(page.locator("[data-choose-count]")).to_have_text("1 of 3 selected")
    page.get_by_label("Wiki").check()
    expect(page.locator("[data-choose-count]")).to_have_text("2 of 3 selected")
    page.fill("[data-choose-filter]", "mai")
    expect(page.get_by_label("Mail")).to_be_visible()
    expect(page.get_by_label("Wiki")).to_be_hidden()
    page.fill("[data-choose-filter]", "zzz")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()


def test_the_editor_indents_numbers_lines_and_lets_the_keyboard_out(page: Page) -> None:
    editor = page.locator(".g-editor")
    expect(page.locator(".g-editor-gutter span")).to_have_count(2)
    expect(page.locator(".g-editor-wrong")).to_have_text(["1", "2"])
    editor.press("Control+End")
    page.keyboard.press("Enter")
    page.keyboard.type("docker_labels:")
    page.keyboard.press("Enter")
    page.keyboard.type("a: b")
    expect(editor).to_have_value("log_level: info\nrefresh_interval: soon\ndocker_labels:\n  a: b")
    expect(page.locator(".g-editor-gutter span")).to_have_count(4)
    page.keyboard.press("Shift+Tab")
    expect(editor).to_have_value("log_level: info\nrefresh_interval: soon\ndocker_labels:\na: b")
    page.keyboard.press("Control+z")
    expect(editor).to_have_value("log_level: info\nrefresh_interval: soon\ndocker_labels:\n  a: b")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.locator("#save")).to_be_focused()


def test_a_field_that_does_not_apply_is_hidden_and_not_sent(page: Page, sample: Sample) -> None:
    expect(page.locator("#domain")).to_be_hidden()
    page.select_option("[name=mode]", "forward_domain")
    expect(page.locator("#domain")).to_be_visible()
    page.select_option("[name=mode]", "forward_single")
    with page.expect_navigation():
        page.click("#save")
    [sent] = [line for line in sample.asked if line.startswith("POST /form")]
    assert "cookie_domain" not in sent
    assert "applications=3" in sent


def test_tabs_by_mouse_and_arrow_keys(page: Page) -> None:
    expect(page.locator("#docker")).to_be_visible()
    expect(page.locator("#compose")).to_be_hidden()
    page.get_by_role("tab", name="docker").press("ArrowRight")
    expect(page.locator("#compose")).to_be_visible()
    expect(page.get_by_role("tab", name="compose")).to_be_focused()
    expect(page.locator("#docker")).to_be_hidden()


def test_a_live_part_changes_only_when_its_answer_does(page: Page, sample: Sample) -> None:
    expect(page.locator("#live b")).to_have_text("one")
    page.evaluate("document.querySelector('#live b').dataset.mark = 'kept'")
    asked = sample.asked.count("GET /live")
    eventually(lambda: sample.asked.count("GET /live") > asked + 2, "more polls")
    expect(page.locator("#live b")).to_have_attribute("data-mark", "kept")
    sample.live = "<b>two</b>"
    expect(page.locator("#live b")).to_have_text("two")


def test_a_live_part_leaves_an_open_menu_alone(page: Page, sample: Sample) -> None:
    sample.live = "<details data-menu><summary>Row</summary><p>open</p></details>"
    page.click("#live summary")
    sample.live = "<b>changed</b>"
    asked = sample.asked.count("GET /live")
    eventually(lambda: sample.asked.count("GET /live") > asked + 2, "more polls")
    expect(page.locator("#live details")).to_have_attribute("open", "")
    page.mouse.click(600, 5)
    expect(page.locator("#live")).to_have_text("changed")


def polled_again(sample: Sample) -> None:
    """Wait until answers that came after now were dealt with."""
    asked = sample.asked.count("GET /live")
    eventually(lambda: sample.asked.count("GET /live") > asked + 2, "more polls")


def test_what_has_the_focus_in_a_live_part_keeps_it_and_the_page_its_place(page: Page, sample: Sample) -> None:
    sample.live = "<a id='row' href='#row'>one</a>"
    page.focus("#row")
    page.evaluate("document.body.style.paddingBottom = '200vh'; scrollTo(0, 40)")
    sample.live = "<p>above</p><a id='row' href='#row'>two</a>"
    expect(page.locator("#row")).to_have_text("two")
    expect(page.locator("#row")).to_be_focused()
    assert page.evaluate("scrollY") == 40


def test_a_live_part_waits_while_words_of_it_are_selected(page: Page, sample: Sample) -> None:
    page.locator("#live b").dblclick()
    sample.live = "<b>two</b>"
    polled_again(sample)
    assert page.evaluate("getSelection().toString().trim()") == "one"
    page.mouse.click(600, 5)
    expect(page.locator("#live b")).to_have_text("two")


def test_a_live_part_waits_for_a_dialog_that_was_opened_from_it(page: Page, sample: Sample) -> None:
    link = "<a id='drain' href='/modal' hx-get='/modal' hx-target='#modal' hx-swap='innerHTML'>{}</a>"
    sample.live = link.format("Drain")
    page.click("#drain")
    expect(page.locator("#modal")).to_have_attribute("open", "")
    sample.live = link.format("Drain it")
    polled_again(sample)
    expect(page.locator("#drain")).to_have_text("Drain")
    page.keyboard.press("Escape")
    expect(page.locator("#drain")).to_have_text("Drain it")
    expect(page.locator("#drain")).to_be_focused()


def test_moments_are_words_before_anybody_sees_them(page: Page, sample: Sample) -> None:
    page.evaluate("""document.addEventListener("htmx:afterSwap", () => {
        window.swapped = document.querySelector("#live time")?.textContent;
    })""")
    moment = page.locator("#then").get_attribute("datetime")
    sample.live = f"<time datetime='{moment}'>2026-11-22 12:00 UTC</time>"
    assert eventually(lambda: page.evaluate("window.swapped"), "a swap") == "3 minutes ago"


def test_polls_pause_in_a_hidden_tab(page: Page, sample: Sample) -> None:
    hidden = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s})"
    page.evaluate(hidden % "true")
    # The first may follow a poll that was on its way when the tab was hidden.
    page.evaluate(TEN_POLLS)
    asked = sample.asked.count("GET /live")
    page.evaluate(TEN_POLLS)
    assert sample.asked.count("GET /live") == asked
    page.evaluate(hidden % "false")
    eventually(lambda: sample.asked.count("GET /live") > asked, "polls go on")


def test_failures_are_told(page: Page) -> None:
    page.click("#fail")
    expect(page.locator("#toasts")).to_contain_text("Refused (500).")


FULL = "<h1 class='empty-title'>Nothing can be saved</h1><p class='empty-subtitle'>The disk is full. Tell someone.</p>"


def test_failures_are_told_in_the_words_of_the_page(page: Page, sample: Sample) -> None:
    sample.failure = f"<html><body>{FULL}</body></html>"
    page.click("#fail")
    expect(page.locator("#toasts .g-toast")).to_have_text(["Nothing can be saved. The disk is full. Tell someone."])
    polled_again(sample)
    expect(page.locator("#toasts .g-toast")).to_have_count(1)
    page.click("#toasts .g-toast")
    expect(page.locator("#toasts .g-toast")).to_have_count(0)


def test_a_poll_that_fails_says_so_once_until_it_succeeds(page: Page, sample: Sample) -> None:
    sample.live, sample.live_status = FULL, 503
    expect(page.locator("#toasts .g-toast")).to_have_text(["Nothing can be saved. The disk is full. Tell someone."])
    polled_again(sample)
    expect(page.locator("#toasts .g-toast")).to_have_count(1)
    sample.live, sample.live_status = "<b>back</b>", 200
    expect(page.locator("#live b")).to_have_text("back")
    expect(page.locator("#toasts .g-toast")).to_have_count(0)


def test_a_server_that_is_away_is_told_once_until_it_is_back(page: Page) -> None:
    def away(route: Route) -> None:
        route.abort()

    page.route("**/live", away)
    expect(page.locator("#toasts .g-toast")).to_have_text(["Unreachable."])
    page.unroute("**/live", away)
    expect(page.locator("#toasts .g-toast")).to_have_count(0)


def test_the_icon_is_drawn_and_the_typeface_is_ours(page: Page) -> None:
    assert page.evaluate("document.querySelector('#icon use').getBBox().width") > 0
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px \"Inter Variable\"'))")
    assert page.evaluate("[...document.fonts].some(face => face.status === 'loaded')")


def test_without_javascript_everything_shows(browser: Browser, sample: Sample) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(sample.url)
    expect(page.locator("#compose")).to_be_visible()
    expect(page.locator("#domain")).to_be_visible()
    expect(page.locator("#copy")).to_be_hidden()
    expect(page.locator("#dark")).to_be_hidden()
    expect(page.get_by_label("Wiki")).to_be_visible()
    page.click("#menu summary")
    expect(page.get_by_text("Two")).to_be_visible()
    context.close()
