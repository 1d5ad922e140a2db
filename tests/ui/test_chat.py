"""The chat, driven by keys on injected parts."""

from __future__ import annotations

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Markdown, OptionList, Static, TextArea

from app.errors import AppError, ServiceUnavailable
from app.judgments import Judgments
from app.settings import IndexSettings, Settings
from app.ui.app import AlcoveApp
from app.ui.screens.dialogs import HelpDialog, LedgerDialog, NoteDialog
from app.ui.screens.explain import ExplainDialog
from app.ui.screens.models import ModelsDialog
from app.ui.widgets.prompt import Prompt
from app.ui.widgets.sources import SourceCard, SourcesPanel
from app.ui.widgets.turn import TurnView
from app.ui.widgets.welcome import ProposalCard
from models.errors import LoadError
from tests.fixtures.fakes import Suggestion
from tests.ui.conftest import NOTES, Bench, ask, wait_until

QUESTION = "which sealant for the hatches?"


def answer(app: AlcoveApp) -> str:
    return app.chat.query(TurnView).last().query_one(Markdown).source


def on_screen(app: AlcoveApp, kind: type[object]) -> bool:
    return isinstance(app.screen, kind)


def waited(bench: Bench) -> bool:
    return bench.index.queries[-1].wait


def visible(widget: Widget) -> bool:
    return widget.display


def shown(app: AlcoveApp, selector: str) -> str:
    return str(app.chat.query_one(selector, Static).render())


def notices(app: AlcoveApp) -> str:
    return str(app.chat.query(TurnView).last().query_one(".notices", Static).render())


def messages(app: AlcoveApp) -> str:
    return "\n".join(f"{note.title} {note.message}" for note in app._notifications)


async def test_quotes_are_cited_and_sources_stand_beside_them(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        assert shown(app, "#mode") == "quotes only"
        assert shown(app, "#status-index") == "3 notes ✓"
        await ask(app, pilot, QUESTION)
        assert "polyurethane test sealant leaked at the hinge" in answer(app)
        assert "[1]" in answer(app)
        cards = list(app.chat.query(SourceCard))
        assert [card.n for card in cards] == [1, 2, 3]
        body = str(cards[0].query_one(".body", Static).render())
        assert "bm25 #1" in body
        assert "✓ quoted, line 1" in body
        assert shown(app, "#conversation-title") == QUESTION


async def test_a_model_streams_its_answer_and_the_status_tells_what_it_took(bench: Bench) -> None:
    bench.give_model()
    async with bench.running() as (app, pilot):
        assert "Qwen3-4B Q4_K_M · 0/37 on GPU" in shown(app, "#status-model")
        assert shown(app, "#mode") == "notes only"
        await ask(app, pilot, QUESTION)
        assert answer(app).startswith("The polyurethane test sealant leaked")
        assert answer(app).endswith("[1]")
        assert "t/s" in shown(app, "#status-model")
        assert "1 quoted" in str(
            app.chat.query(TurnView).last().query_one(".verdict", Static).render()
        )


async def test_escape_stops_and_keeps_what_was_written(bench: Bench) -> None:
    bench.give_model()
    bench.engine.gated = True
    async with bench.running() as (app, pilot):
        app.chat.query_one(Prompt).insert(QUESTION)
        await pilot.press("enter")
        for _ in range(3):
            bench.engine.gate.release()
        await wait_until(pilot, lambda: "test" in answer(app))
        await pilot.press("escape")
        await wait_until(pilot, lambda: not app.chat.answering)
        assert answer(app) == "The polyurethane test"
        assert "Stopped." in notices(app)
        bench.engine.gated = False
        await ask(app, pilot, "and which tape did I buy for the hatches?")
        assert len(app.chat.query(TurnView)) == 2


async def test_a_draft_is_kept_while_an_answer_runs(bench: Bench) -> None:
    bench.give_model()
    bench.engine.gated = True
    async with bench.running() as (app, pilot):
        prompt = app.chat.query_one(Prompt)
        prompt.insert(QUESTION)
        await pilot.press("enter")
        assert prompt.text == ""
        prompt.insert("a thought")
        await pilot.press("enter")
        assert prompt.text == "a thought"
        assert len(app.chat.query(TurnView)) == 1
        assert "Escape stops it" in messages(app)


async def test_the_engines_death_is_told_in_the_turn_and_the_prompt_stays_usable(
    bench: Bench,
) -> None:
    bench.give_model()
    bench.engine.die_after = 2
    async with bench.running() as (app, pilot):
        await ask(app, pilot, QUESTION)
        assert "The engine was killed (SIGKILL)." in notices(app)
        assert answer(app) == "The polyurethane "
        bench.engine.die_after = None
        await ask(app, pilot, QUESTION)
        assert answer(app).endswith("[1]")


async def test_the_indexs_death_is_told_and_the_run_is_taken_up_again(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        runs = bench.index.runs
        bench.index.die()
        await wait_until(pilot, lambda: bench.index.runs == runs + 1)
        assert "The index process was killed" in messages(app)


async def test_an_error_of_the_search_is_shown_with_its_remedy(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        bench.index.error = AppError("The index is damaged.", "Delete it and index again.")
        await ask(app, pilot, QUESTION)
        assert notices(app) == "The index is damaged.\nDelete it and index again."


async def test_keyword_search_answers_while_the_index_is_being_built(bench: Bench) -> None:
    bench.index.hold.clear()
    app = bench.app()
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_until(pilot, lambda: "reading notes" in shown(app, "#status-index"))
        assert "0/3" in shown(app, "#status-index")
        await ask(app, pilot, QUESTION)
        assert "polyurethane" in answer(app)
        bench.index.hold.set()
        await wait_until(pilot, lambda: shown(app, "#status-index") == "3 notes ✓")


async def test_nothing_found_is_said(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await ask(app, pilot, "zebra")
        assert answer(app) == "Nothing in your notes matches these words."
        assert app.chat.has_class("no-sources")


async def test_enter_on_a_source_opens_the_note_at_its_line(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await ask(app, pilot, QUESTION)
        app.chat.query(SourceCard).first().focus()
        await pilot.press("enter")
        await wait_until(pilot, lambda: on_screen(app, NoteDialog))
        area = app.screen.query_one("#note-text", TextArea)
        await wait_until(pilot, lambda: area.text == NOTES[1][1])
        assert area.selected_text == NOTES[1][1]
        await pilot.press("escape")
        assert app.screen is app.chat


async def test_a_note_that_is_gone_is_said_to_be(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await ask(app, pilot, QUESTION)
        (bench.folder / NOTES[1][0]).unlink()
        app.chat.query(SourceCard).first().focus()
        await pilot.press("enter")
        await wait_until(
            pilot,
            lambda: "cannot be read" in app.screen.query_one("#note-text", TextArea).text,
        )


async def test_the_ledger_shows_what_went_in(bench: Bench) -> None:
    bench.give_model()
    async with bench.running() as (app, pilot):
        await pilot.press("ctrl+l")
        assert on_screen(app, LedgerDialog)
        await pilot.press("escape")
        await ask(app, pilot, QUESTION)
        await pilot.press("ctrl+l")
        text = str(app.screen.query_one("VerticalScroll > Static", Static).render())
        assert "context     4,096  tokens of Qwen3-4B" in text
        assert "refit/tests.md:1" in text


async def test_help_lists_every_shown_key(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await pilot.press("f1")
        assert on_screen(app, HelpDialog)
        text = str(app.screen.query_one("VerticalScroll > Static", Static).render())
        for key in ("ctrl+o", "ctrl+l", "ctrl+k", "ctrl+n", "ctrl+q", "escape"):
            assert key in text


async def test_a_new_conversation_starts_empty_and_the_old_one_is_saved(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await ask(app, pilot, QUESTION)
        await pilot.press("ctrl+n")
        await pilot.pause()
        assert not app.chat.query(TurnView)
        assert app.chat.query_one("#welcome").display
        (saved,) = bench.store.list()
        assert saved.title == QUESTION
        assert bench.store.load(saved.id).turns[0].question == QUESTION


async def test_the_proposal_downloads_loads_and_goes_away(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        card = app.chat.query_one(ProposalCard)
        assert visible(card)
        text = str(card.render())
        assert "Qwen3 4B Instruct" in text
        assert "2.5 GB" in text
        assert "Apache 2.0" in text
        card.focus()
        await pilot.press("enter")
        await wait_until(pilot, lambda: "Qwen3-4B Q4_K_M" in shown(app, "#status-model"))
        await wait_until(pilot, lambda: app.at_rest)
        assert not visible(card)
        assert shown(app, "#mode") == "notes only"


async def test_a_download_shows_progress_and_escape_stops_it(bench: Bench) -> None:
    bench.fetcher.hold.clear()
    async with bench.running() as (app, pilot):
        card = app.chat.query_one(ProposalCard)
        card.focus()
        await pilot.press("enter")
        await wait_until(pilot, lambda: "50 %" in str(card.render()))
        assert "downloading" in shown(app, "#status-model")
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.at_rest)
        assert "The download was stopped." in messages(app)
        assert "A model that fits this machine" in str(card.render())
        assert shown(app, "#status-model").startswith("quotes only")


async def test_a_declined_proposal_is_not_made_again(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        app.chat.query_one(ProposalCard).focus()
        await pilot.press("s")
        await wait_until(pilot, lambda: app.at_rest)
        assert app.focused is app.chat.query_one(Prompt)
    async with bench.running() as (app, pilot):
        assert not app.chat.query_one(ProposalCard).display


async def test_a_model_is_chosen_from_the_list(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        bench.give_model()
        await pilot.press("ctrl+k")
        assert on_screen(app, ModelsDialog)
        await wait_until(pilot, lambda: app.focused is not None and app.focused.id == "models-list")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "Qwen3-4B" in shown(app, "#status-model"))


async def test_a_model_that_cannot_be_loaded_leaves_quotes(bench: Bench) -> None:
    bench.give_model()
    bench.engine.load_error = LoadError("Too little memory.", "Choose a smaller model.")
    async with bench.running() as (app, pilot):
        await wait_until(pilot, lambda: "Too little memory." in messages(app))
        assert shown(app, "#status-model").startswith("quotes only")
        await ask(app, pilot, QUESTION)
        assert "polyurethane" in answer(app)


async def test_on_a_narrow_screen_sources_are_an_overlay(bench: Bench) -> None:
    async with bench.running((80, 24)) as (app, pilot):
        await ask(app, pilot, QUESTION)
        panel = app.chat.query_one(SourcesPanel)
        assert not visible(panel)
        await pilot.press("ctrl+o")
        assert visible(panel)
        await pilot.press("escape")
        assert not visible(panel)


async def test_earlier_questions_come_back_and_the_draft_is_not_lost(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await ask(app, pilot, "first sealant")
        await ask(app, pilot, "second sealant")
        prompt = app.chat.query_one(Prompt)
        prompt.insert("half a thought")
        prompt.move_cursor((0, 0))
        await pilot.press("up")
        assert prompt.text == "second sealant"
        await pilot.press("up")
        assert prompt.text == "first sealant"
        await pilot.press("down", "down")
        assert prompt.text == "half a thought"


async def test_ctrl_j_starts_a_new_line_and_enter_alone_asks_nothing(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await pilot.press("enter")
        assert not app.chat.query(TurnView)
        await pilot.press("a", "ctrl+j", "b")
        assert app.chat.query_one(Prompt).text == "a\nb"


async def test_markup_and_escapes_in_notes_are_drawn_as_text(bench: Bench) -> None:
    bench.index.notes.append(("[red]x[/].md", "zebra [bold]no[/bold] \x1b]0;owned\x07 \x1b[31mred"))
    async with bench.running() as (app, pilot):
        await ask(app, pilot, "zebra [link='x']?[/]")
        body = str(app.chat.query(SourceCard).first().query_one(".body", Static).render())
        assert "[red]x[/].md:1" in body
        assert "[bold]no[/bold]" in body
        assert "\x1b" not in body
        assert "owned" not in body
        assert "\x1b" not in answer(app)


async def test_the_keymap_of_the_settings_holds(bench: Bench) -> None:
    bench.tools.settings = Settings(keys={"help": "f2"})
    async with bench.running() as (app, pilot):
        await pilot.press("f2")
        assert on_screen(app, HelpDialog)


async def test_skipped_files_are_told(bench: Bench) -> None:
    bench.skip_file()
    async with bench.running() as (app, pilot):
        await wait_until(pilot, lambda: "scan.pdf: no text layer" in messages(app))
        assert shown(app, "#status-index") == "3 notes ✓, 1 skipped"


async def test_a_new_conversation_asked_for_at_once_waits_for_the_answer(bench: Bench) -> None:
    """Enter and Ctrl+N in one breath: the second is declined, nothing is torn down."""
    async with bench.running() as (app, pilot):
        app.chat.query_one(Prompt).insert(QUESTION)
        app.simulate_key("enter")
        app.simulate_key("ctrl+n")
        await wait_until(pilot, lambda: bool(app.chat.query(TurnView)))
        await wait_until(pilot, lambda: not app.chat.answering)
        assert "polyurethane" in answer(app)


async def test_a_download_that_ends_in_mid_answer_lets_it_finish(bench: Bench) -> None:
    bench.give_model()
    bench.engine.gated = True
    async with bench.running() as (app, pilot):
        app.chat.query_one(Prompt).insert(QUESTION)
        await pilot.press("enter")
        bench.engine.gate.release()
        await wait_until(pilot, lambda: "The" in answer(app))
        app._jobs.download(Suggestion())
        await wait_until(pilot, lambda: "is on this machine, verified" in messages(app))
        for _ in range(20):
            bench.engine.gate.release()
        await wait_until(pilot, lambda: not app.chat.answering)
        assert answer(app).endswith("[1]")
        await wait_until(pilot, lambda: bench.engine.info.path.name == "model.gguf")


async def test_an_index_that_cannot_start_is_told(bench: Bench) -> None:
    bench.index.index_error = ServiceUnavailable("The index cannot be started.", "Free memory.")
    async with bench.running() as (app, pilot):
        await wait_until(pilot, lambda: "The index cannot be started." in messages(app))


async def test_after_the_indexs_death_a_question_does_not_wait_for_the_embedder(
    bench: Bench,
) -> None:
    async with bench.running() as (app, pilot):
        await ask(app, pilot, QUESTION)
        assert waited(bench)
        bench.index.warm_hold.clear()
        bench.index.die()
        await ask(app, pilot, QUESTION)
        assert not waited(bench)
        bench.index.warm_hold.set()
        await wait_until(pilot, lambda: app.at_rest)
        await ask(app, pilot, QUESTION)
        assert waited(bench)


async def test_pasted_escapes_do_not_reach_the_terminal(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        prompt = app.chat.query_one(Prompt)
        prompt.post_message(events.Paste("hi \x1b]0;PWN\x07 there\r\nyou"))
        await wait_until(pilot, lambda: prompt.text == "hi  there\nyou")


async def test_up_in_a_wrapped_draft_moves_by_a_row(bench: Bench) -> None:
    async with bench.running((80, 24)) as (app, pilot):
        await ask(app, pilot, "earlier sealant")
        prompt = app.chat.query_one(Prompt)
        draft = "word " * 60
        prompt.insert(draft)
        await pilot.pause()
        await pilot.press("up")
        assert prompt.text == draft


async def test_the_model_in_use_is_marked_by_its_file(bench: Bench) -> None:
    bench.give_model()
    bench.engine.name = "General Name Of The File"
    async with bench.running() as (app, pilot):
        await pilot.press("ctrl+k")
        await wait_until(pilot, lambda: app.focused is not None and app.focused.id == "models-list")
        listing = app.screen.query_one("#models-list", OptionList)
        assert str(listing.get_option_at_index(0).prompt).startswith("● Qwen3-4B")


async def test_a_quotes_answer_says_once_how_to_get_a_model(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        assert "^k adds a model (2.5 GB fits this machine)" in shown(app, "#status-model")
        await ask(app, pilot, QUESTION)
        assert "ctrl+k chooses or downloads a model" in notices(app)
        await ask(app, pilot, QUESTION)
        assert "ctrl+k" not in notices(app)


async def test_a_broken_off_answer_is_kept(bench: Bench) -> None:
    bench.give_model()
    bench.engine.die_after = 2
    async with bench.running() as (app, pilot):
        await ask(app, pilot, QUESTION)
        assert "the next question loads it again" in shown(app, "#status-model")
        (saved,) = bench.store.list()
        assert bench.store.load(saved.id).turns[0].answer.text == "The polyurethane "


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"surces": "ctrl+b"}, "No key is named surces."),
        ({"ledger": "ctrl+n"}, "ctrl+n is the key of both"),
    ],
)
async def test_wrong_keys_in_the_settings_are_told(
    bench: Bench, keys: dict[str, str], told: str
) -> None:
    bench.tools.settings = Settings(keys=keys)
    async with bench.running() as (app, pilot):
        await wait_until(pilot, lambda: told in messages(app))


async def test_tab_leads_from_the_prompt_to_the_proposal(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await pilot.press("tab")
        assert app.focused is app.chat.query_one(ProposalCard)


async def test_re_indexing_twice_runs_once(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        runs = bench.index.runs
        bench.index.hold.clear()
        app.action_reindex()
        app.action_reindex()
        await wait_until(pilot, lambda: "being indexed already" in messages(app))
        bench.index.hold.set()
        await wait_until(pilot, lambda: app.at_rest)
        assert bench.index.runs == runs + 1


async def quit_with(pilot: Pilot[int], key: str) -> None:
    await pilot.press(key)


async def test_ctrl_q_leaves_even_in_the_middle_of_an_answer(bench: Bench) -> None:
    bench.give_model()
    bench.engine.gated = True
    async with bench.running() as (app, pilot):
        app.chat.query_one(Prompt).insert(QUESTION)
        await pilot.press("enter")
        await quit_with(pilot, "ctrl+q")
        await wait_until(pilot, lambda: not app.is_running)
        assert app.return_value == 0


async def test_f2_explains_how_the_passages_were_found(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await ask(app, pilot, "which tape and sealant?")
        await pilot.press("f2")
        await wait_until(pilot, lambda: on_screen(app, ExplainDialog))
        await wait_until(pilot, lambda: "passage" in explanation(app))
        text = explanation(app)
        assert "terms     and · sealant · tape · which" in text
        assert "#1 9.00 → .0909" in text
        assert "weights   bm25 1: there is one leg" in text
        await pilot.press("escape")
        await pilot.press("ctrl+n")
        await pilot.press("f2")
        await wait_until(pilot, lambda: "Nothing was searched" in explanation(app))


def explanation(app: AlcoveApp) -> str:
    if not isinstance(app.screen, ExplainDialog):
        return ""
    return str(app.screen.query_one("#explanation", Static).render())


async def test_marks_on_sources_are_kept_with_their_question(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        await ask(app, pilot, "which tape?")
        await ask(app, pilot, QUESTION)
        cards = list(app.chat.query(SourceCard))
        cards[0].focus()
        await pilot.press("plus")
        cards[1].focus()
        await pilot.press("minus")
        marks = Judgments(bench.tools.paths.judgments)
        await wait_until(pilot, lambda: len(marks.all()) == 2)
        good, bad = marks.all()
        assert (good.question, good.context, good.verdict) == (QUESTION, "which tape?", "good")
        assert good.note_path == cards[0].passage.chunk.note_path
        assert bad.verdict == "bad"
        assert "you marked this good" in str(cards[0].query_one(".body", Static).render())
        cards[0].focus()
        await pilot.press("plus")
        await wait_until(pilot, lambda: len(marks.all()) == 1)
        assert "you marked" not in str(cards[0].query_one(".body", Static).render())


async def test_a_note_saved_while_the_app_is_open_is_counted_and_found(bench: Bench) -> None:
    async with bench.running() as (app, pilot):
        assert shown(app, "#status-index") == "3 notes ✓"
        bench.index.write("log/2026-06-01.md", "The anchor windlass was greased.")
        await wait_until(pilot, lambda: shown(app, "#status-index") == "4 notes ✓")
        await ask(app, pilot, "what of the windlass?")
        assert "windlass was greased" in answer(app)


async def test_changes_are_not_followed_when_the_settings_say_so(bench: Bench) -> None:
    bench.tools.settings = Settings(index=IndexSettings(watch=False))
    async with bench.running() as (app, pilot):
        bench.index.write("log/2026-06-01.md", "The anchor windlass was greased.")
        await ask(app, pilot, QUESTION)
        assert shown(app, "#status-index") == "3 notes ✓"
