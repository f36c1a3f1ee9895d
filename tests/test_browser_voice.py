"""Voice messages: recorded, heard, sent and played; the microphone is open only while its conversation is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.attachments import newest, unsealed
from tests.browser import Enter, Person, connect
from tests.doorway import doorway
from tests.people import Server
from tests.wire import Wire

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
# The page's microphones, so that a test can see whether one is still open.
NOTE_MICROPHONES = """
  globalThis.microphones = [];
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => {
    const stream = await ask(wish);
    globalThis.microphones.push(...stream.getTracks());
    return stream;
  };"""
ATTACHMENTS, RECORDER = (re.compile(rf"/js/{module}\.\w+\.js") for module in ("attachments", "recorder"))
# How many columns of a canvas have ink higher than a silent bar's.
LOUD_COLUMNS = """canvas => {
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const ink = copy.getImageData(0, 0, width, height / 4).data;
  let loud = 0;
  for (let x = 0; x < width; x += 1) {
    for (let y = 0; y < height / 4; y += 1) {
      if (ink[(y * width + x) * 4 + 3] > 0) { loud += 1; break; }
    }
  }
  return loud / width;
}"""


@pytest.fixture(scope="module")
def acquainted(browser: Browser, site: Server) -> Iterator[Pair]:
    """Two people with keys; the first may use the microphone."""
    with doorway(browser, site.origin) as way:
        mara, jonas = way("mara", permissions=["microphone"]), way("jonas")
        mara.context.add_init_script(NOTE_MICROPHONES)
        mara.reload()
        connect(mara, jonas)
        yield mara, jonas


def panel(person: Person) -> Locator:
    """What stands in the input's place while there is a recording."""
    return person.page.get_by_role("group", name="Voice message")


def record(person: Person, seconds: int = 1) -> None:
    """Speak at least so long, and stop."""
    person.button("Start audio recording").click()
    expect(panel(person).get_by_role("timer")).to_have_text(re.compile(f"^0:0[{seconds}-9]$"))
    person.button("Stop audio recording").click()
    expect(person.button("Listen to recording")).to_be_visible()


def say(person: Person, other: Person, seconds: int = 1) -> Locator:
    """Record and send; the message at the other's."""
    before = voices(other).count()
    record(person, seconds)
    person.button("Send message").click()
    expect(voices(other)).to_have_count(before + 1)
    return voices(other).last


def microphones(person: Person) -> int:
    """How many microphones the page was given so far."""
    return int(person.page.evaluate("microphones.length"))


def open_microphones(person: Person) -> int:
    """How many of them are open."""
    return int(person.page.evaluate("microphones.filter((one) => one.readyState === 'live').length"))


def voices(person: Person) -> Locator:
    """The rows of the voice messages in the open conversation."""
    return person.page.locator(".message[data-type=file]")


def test_a_voice_message_is_recorded_heard_sent_and_played(pair: Pair) -> None:
    mara, jonas = pair
    before = voices(jonas).count()
    record(mara, seconds=2)
    mara.button("Listen to recording").click()
    expect(mara.button("Stop listening")).to_be_visible()
    expect(mara.button("Listen to recording")).to_be_visible()
    mara.button("Send message").click()
    expect(voices(jonas)).to_have_count(before + 1)
    row = voices(jonas).last
    row.get_by_role("button", name="Play audio").click()
    expect(row.locator(".player-time")).to_have_text(re.compile(r"^0:0[1-9] / 0:0[1-9]$"))
    expect(row.get_by_role("button", name="Play")).to_be_visible()
    assert row.locator("audio").evaluate("it => [it.ended, it.error]") == [True, None]
    expect(panel(mara)).to_be_hidden()
    expect(mara.input).to_be_visible()


def test_timer_and_level_move_while_somebody_speaks(pair: Pair) -> None:
    mara, _ = pair
    mara.button("Start audio recording").click()
    level = panel(mara).locator("canvas")
    quiet = mara.until(lambda: level.evaluate("it => it.toDataURL()"), "the level")
    mara.until(lambda: level.evaluate("it => it.toDataURL()") != quiet, "the level to move")
    mara.until(lambda: level.evaluate(LOUD_COLUMNS) > 0, "the beep")
    # At the start few of its bars are drawn: one beep does not fill the meter.
    assert level.evaluate(LOUD_COLUMNS) < 0.5
    expect(panel(mara).get_by_role("timer")).to_have_text(re.compile("^0:0[1-9]$"))
    mara.button("Cancel recording").click()


def test_duration_and_waveform_are_sealed_and_drawn_at_the_other_side(pair: Pair, site: Server) -> None:
    mara, jonas = pair
    row = say(mara, jonas)
    expect(row.get_by_role("button", name="Play audio")).to_be_visible()
    message = newest(site, mara)
    file = unsealed(jonas, mara, message["text"])["file"]
    assert message["type"] == "file"
    assert "file_name" not in message
    assert file["type"] == "audio/webm"
    assert 1.0 <= file["duration"] < 10.0
    assert 10 <= len(file["waveform"]) <= 64
    assert all(isinstance(bar, int) and 0 <= bar <= 100 for bar in file["waveform"])
    assert max(file["waveform"]) > 20, "the beep is loud"
    row.get_by_role("button", name="Play audio").click()
    assert jonas.until(lambda: row.locator("canvas.waveform").evaluate(LOUD_COLUMNS), "the waveform") < 1


def test_the_speed_goes_round_and_is_the_speed_of_the_sound(pair: Pair) -> None:
    mara, jonas = pair
    row = say(mara, jonas)
    row.get_by_role("button", name="Play audio").click()
    speed, sound = row.locator(".speed"), row.locator("audio")
    expect(speed).to_have_text("1×")
    for shown, rate in (("1.5×", 1.5), ("2×", 2), ("1×", 1)):
        speed.click()
        expect(speed).to_have_text(shown)
        assert sound.evaluate("it => it.playbackRate") == rate


def test_playing_is_paused_and_sought_by_keyboard(pair: Pair) -> None:
    mara, jonas = pair
    row = say(mara, jonas, seconds=2)
    row.get_by_role("button", name="Play audio").focus()
    jonas.page.keyboard.press("Enter")
    expect(row.get_by_role("button", name="Pause")).to_be_focused()
    jonas.page.keyboard.press("Enter")
    expect(row.get_by_role("button", name="Play")).to_be_focused()
    position = row.get_by_role("slider", name="Position")
    position.focus()
    jonas.page.keyboard.press("Home")
    # A busy machine gives less sound than it took time: how long the sound is, is not this test's to say.
    expect(position).to_have_attribute("aria-valuetext", re.compile(r"^0:00 of 0:0[1-9]$"))
    jonas.page.keyboard.press("End")
    expect(position).to_have_attribute("aria-valuetext", re.compile(r"^(0:0[1-9]) of \1$"))


def test_a_recording_that_is_cancelled_is_gone_and_the_microphone_closed(pair: Pair) -> None:
    mara, jonas = pair
    before = voices(mara).count()
    mara.button("Start audio recording").click()
    expect(panel(mara)).to_be_visible()
    assert open_microphones(mara) == 1
    mara.button("Cancel recording").click()
    expect(panel(mara)).to_be_hidden()
    assert open_microphones(mara) == 0
    mara.write("nothing was recorded")
    expect(jonas.message("nothing was recorded")).to_have_count(1)
    assert voices(mara).count() == before


def test_stopping_closes_the_microphone_and_a_recording_may_be_sent_at_once(pair: Pair, site: Server) -> None:
    mara, _ = pair
    mara.button("Start audio recording").click()
    expect(panel(mara).get_by_role("timer")).to_have_text(re.compile("^0:0[1-9]$"))
    before = newest(site, mara)["_id"]
    # In one go, while the recorder is still putting its parts together.
    mara.page.evaluate(
        """() => {
          document.querySelector("#record").click();
          document.querySelector("[aria-label='Send message']").click();
        }"""
    )
    mara.until(lambda: newest(site, mara)["_id"] != before, "the message")
    assert open_microphones(mara) == 0
    expect(panel(mara)).to_be_hidden()


def test_sending_without_the_line_closes_the_microphone_and_the_recording_waits(pair: Pair) -> None:
    mara, jonas = pair
    before = voices(jonas).count()
    mara.tolerate("ERR_INTERNET_DISCONNECTED")
    mara.page.route(ATTACHMENTS, lambda route: route.abort("internetdisconnected"))
    mara.reload()
    mara.open_chat(jonas)
    mara.button("Start audio recording").click()
    expect(panel(mara).get_by_role("timer")).to_have_text(re.compile("^0:0[1-9]$"))
    mara.button("Send message").click()
    mara.until(lambda: open_microphones(mara) == 0, "the microphone to close")
    expect(mara.button("Start audio recording")).to_be_visible()
    expect(mara.banner).to_contain_text("You are offline. The recording is kept: send it when the line is back.")
    mara.button("Listen to recording").click()
    expect(mara.button("Stop listening")).to_be_visible()
    mara.page.unroute(ATTACHMENTS)
    mara.button("Send message").click()
    expect(voices(jonas)).to_have_count(before + 1)
    expect(panel(mara)).to_be_hidden()


def test_a_recording_that_was_begun_with_the_line_is_sent_when_the_line_is_back(pair: Pair) -> None:
    mara, jonas = pair
    before = voices(jonas).count()
    mara.tolerate("ERR_INTERNET_DISCONNECTED")
    wire = Wire(mara)
    mara.open_chat(jonas)
    with mara.page.expect_response(ATTACHMENTS):
        mara.button("Start audio recording").click()
    expect(panel(mara).get_by_role("timer")).to_have_text(re.compile("^0:0[1-9]$"))
    mara.context.set_offline(True)
    mara.button("Send message").click()
    mara.until(lambda: open_microphones(mara) == 0, "the microphone to close")
    expect(mara.page.locator(".transfer-row").get_by_role("alert")).to_have_text("The connection was lost.")
    mara.context.set_offline(False)
    wire.cut()
    expect(voices(jonas)).to_have_count(before + 1)


def test_pressing_send_twice_sends_a_recording_once(pair: Pair) -> None:
    mara, jonas = pair
    before = voices(jonas).count()
    record(mara)
    mara.page.evaluate(
        "() => { const it = document.querySelector(`[aria-label='Send message']`); it.click(); it.click(); }"
    )
    expect(voices(jonas)).to_have_count(before + 1)
    expect(mara.page.locator(".transfer-row")).to_have_count(0)
    mara.write("after the one recording")
    expect(jonas.message("after the one recording")).to_have_count(1)
    assert voices(jonas).count() == before + 1


@pytest.mark.parametrize("notices", [True, False], ids=["the browser notices", "only the socket does"])
def test_what_is_said_of_a_lost_line_goes_when_the_line_is_back(pair: Pair, notices: bool) -> None:
    mara, jonas = pair
    mara.tolerate("ERR_INTERNET_DISCONNECTED")
    mara.page.route(RECORDER, lambda route: route.abort("internetdisconnected"))
    wire = Wire(mara)
    mara.open_chat(jonas)
    if notices:
        mara.context.set_offline(True)
    mara.button("Start audio recording").click()
    expect(mara.banner).to_contain_text("You are offline. This needs the server.")
    if notices:
        mara.context.set_offline(False)
    else:
        wire.cut()
    expect(mara.banner).to_be_hidden()
    mara.page.unroute(RECORDER)


def test_two_quick_presses_open_one_microphone(pair: Pair) -> None:
    mara, _ = pair
    before = microphones(mara)
    mara.page.evaluate("() => { const it = document.querySelector('#record'); it.click(); it.click(); }")
    expect(panel(mara)).to_be_visible()
    mara.button("Cancel recording").click()
    expect(panel(mara)).to_be_hidden()
    assert microphones(mara) == before + 1
    assert open_microphones(mara) == 0


def test_a_recording_stays_in_its_own_conversation(pair: Pair, enter: Enter) -> None:
    mara, jonas = pair
    someone = enter("someone")
    connect(mara, someone)
    mara.open_chat(jonas)
    before = voices(jonas).count()
    mara.button("Start audio recording").click()
    expect(panel(mara).get_by_role("timer")).to_have_text(re.compile("^0:0[1-9]$"))
    mara.open_chat(someone)
    expect(panel(mara)).to_be_hidden()
    mara.until(lambda: open_microphones(mara) == 0, "the microphone to close")
    mara.write("not a word was said")
    expect(someone.message("not a word was said")).to_have_count(1)
    mara.open_chat(jonas)
    expect(mara.button("Listen to recording")).to_be_visible()
    mara.button("Send message").click()
    expect(voices(jonas)).to_have_count(before + 1)
    expect(voices(someone)).to_have_count(0)


def test_the_microphone_closes_on_the_way_back_to_the_list(pair: Pair) -> None:
    mara, jonas = pair
    mara.page.set_viewport_size({"width": 390, "height": 800})
    mara.button("Start audio recording").click()
    expect(panel(mara).get_by_role("timer")).to_have_text(re.compile("^0:0[1-9]$"))
    mara.button("Back to contacts").click()
    mara.until(lambda: open_microphones(mara) == 0, "the microphone to close")
    mara.open_chat(jonas)
    expect(mara.button("Listen to recording")).to_be_visible()
    mara.button("Cancel recording").click()
    mara.page.set_viewport_size({"width": 1280, "height": 800})


def test_who_refuses_the_microphone_is_told_how_to_permit_it(pair: Pair) -> None:
    _, jonas = pair
    jonas.button("Start audio recording").click()
    expect(jonas.banner).to_contain_text(
        "The microphone is not allowed: permit it for this site in the browser's address bar, and try again."
    )
    expect(panel(jonas)).to_be_hidden()
    expect(jonas.input).to_be_enabled()
