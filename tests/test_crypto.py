"""crypto.js against vectors made independently, and against everything that is not as it should be."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from tests.modules import Modules
from tests.seals import KeyPair
from tests.vectors.make_v1 import PLAINTEXTS

pytest_plugins = ["tests.doorway", "tests.modules"]

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "v1.json").read_text())
ALICE, BOB = VECTORS["alice"], VECTORS["bob"]
ALICES = {"myPrivateKey": ALICE["privateKey"], "theirPublicKey": BOB["publicKey"]}
BOBS = {"myPrivateKey": BOB["privateKey"], "theirPublicKey": ALICE["publicKey"]}
OPEN = "return it.openText(given.pairs, given.envelope)"
FRESH = "return it.generateKeyPair()"


@pytest.mark.parametrize("number", range(len(VECTORS["messages"])))
def test_ours_opens_theirs(modules: Modules, number: int) -> None:
    vector = VECTORS["messages"][number]
    assert modules.run("crypto", OPEN, {"pairs": [BOBS], "envelope": vector["envelope"]}) == vector["text"]


@pytest.mark.parametrize("words", PLAINTEXTS, ids=range(len(PLAINTEXTS)))
def test_theirs_opens_ours(modules: Modules, words: str) -> None:
    envelope = modules.run("crypto", "return it.sealText(given.pair, given.words)", {"pair": ALICES, "words": words})
    assert set(json.loads(envelope)) == {"iv", "content"}
    assert len(json.loads(envelope)["iv"]) == 12
    assert _key_of(BOB).open(envelope, _key_of(ALICE)) == words


def _key_of(person: dict[str, str]) -> KeyPair:
    number = base64.urlsafe_b64decode(json.loads(person["privateKey"])["d"] + "=")
    return KeyPair(ec.derive_private_key(int.from_bytes(number), ec.SECP256R1()))


def test_an_iv_is_never_used_twice(modules: Modules) -> None:
    code = "return Promise.all(Array.from({length: 200}, () => it.sealText(given, 'same words')))"
    envelopes = modules.run("crypto", code, ALICES)
    assert len({tuple(json.loads(one)["iv"]) for one in envelopes}) == 200


def test_a_fresh_pair_is_p256_and_its_public_half_tells_what_we_understand(modules: Modules) -> None:
    pair = modules.run("crypto", FRESH)
    private, public = json.loads(pair["privateKey"]), json.loads(pair["publicKey"])
    assert (private["crv"], public["crv"]) == ("P-256", "P-256")
    assert "d" in private
    assert "d" not in public
    assert public["sotto"] == {"v": 1, "files": 2}


def test_the_message_key_cannot_be_taken_out(modules: Modules) -> None:
    assert modules.run("crypto", "return (await it.conversationKey(given)).extractable", ALICES) is False


def test_another_key_opens_nothing(modules: Modules) -> None:
    fresh = modules.run("crypto", FRESH)
    pair = {"myPrivateKey": fresh["privateKey"], "theirPublicKey": ALICE["publicKey"]}
    envelope = VECTORS["messages"][1]["envelope"]
    assert modules.fault("crypto", OPEN, {"pairs": [pair], "envelope": envelope}) == "OpenFault other_keys"


def test_a_retired_pair_still_opens(modules: Modules) -> None:
    fresh = modules.run("crypto", FRESH)
    pair = {"myPrivateKey": fresh["privateKey"], "theirPublicKey": ALICE["publicKey"]}
    vector = VECTORS["messages"][1]
    given = {"pairs": [pair, BOBS], "envelope": vector["envelope"]}
    assert modules.run("crypto", OPEN, given) == vector["text"]


def test_without_keys_it_says_so(modules: Modules) -> None:
    given = {"pairs": [], "envelope": VECTORS["messages"][1]["envelope"]}
    assert modules.fault("crypto", OPEN, given) == "OpenFault no_keys"


@pytest.mark.parametrize("place", ["iv", "content"])
def test_a_flipped_bit_does_not_open(modules: Modules, place: str) -> None:
    envelope = json.loads(VECTORS["messages"][1]["envelope"])
    envelope[place][0] ^= 1
    given = {"pairs": [BOBS], "envelope": json.dumps(envelope)}
    assert modules.fault("crypto", OPEN, given) == "OpenFault other_keys"


@pytest.mark.parametrize(
    "envelope",
    [
        "",
        "hello",
        "null",
        "[]",
        "{}",
        '{"iv":[1,2,3],"content":[1]}',
        json.dumps({"iv": [1] * 12, "content": [1] * 15}),
        json.dumps({"iv": [1] * 13, "content": [1] * 20}),
        json.dumps({"iv": [1] * 12, "content": [256] * 20}),
        json.dumps({"iv": [1.5] * 12, "content": [1] * 20}),
        json.dumps({"iv": ["1"] * 12, "content": [1] * 20}),
        json.dumps({"iv": [True] * 12, "content": [1] * 20}),
    ],
)
def test_what_is_no_envelope_is_damaged(modules: Modules, envelope: str) -> None:
    assert modules.fault("crypto", OPEN, {"pairs": [BOBS], "envelope": envelope}) == "OpenFault damaged"


def test_bytes_that_are_no_text_are_damaged(modules: Modules) -> None:
    code = """
      const envelope = await it.sealBytes(given[0], new Uint8Array([0xff, 0xfe, 0xfd]));
      return it.openText([given[1]], envelope)"""
    assert modules.fault("crypto", code, [ALICES, BOBS]) == "OpenFault damaged"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"d": "AAAA"}, "KeyFault private_key"),
        ({"crv": "P-384"}, "KeyFault malformed"),
        ({"kty": "OKP"}, "KeyFault malformed"),
        ({"y": json.loads(ALICE["publicKey"])["x"]}, "KeyFault malformed"),  # not on the curve
        ({"x": "A" * 43, "y": "A" * 43}, "KeyFault malformed"),  # the point (0, 0)
        ({"x": None}, "KeyFault malformed"),
        ({"note": "x" * 9000}, "KeyFault malformed"),
    ],
)
def test_what_is_no_public_key_is_refused(modules: Modules, change: dict[str, Any], fault: str) -> None:
    jwk = json.dumps(json.loads(ALICE["publicKey"]) | change)
    assert modules.fault("crypto", "return it.checkPublicKey(given)", jwk) == fault


def test_a_private_key_must_belong_to_its_public_one(modules: Modules) -> None:
    given = [ALICE["privateKey"], BOB["publicKey"]]
    assert modules.fault("crypto", "return it.checkKeyPair(...given)", given) == "KeyFault malformed"


CHUNKS = """
  const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  const base64 = (hex) => btoa(String.fromCharCode(...bytes(hex)));
  const hex = (data) => Array.from(new Uint8Array(data), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const cipher = await it.fileCipher({ key: base64(given.file.key), iv: base64(given.file.iv) });
"""


def test_a_file_is_sealed_as_the_vectors_say(modules: Modules) -> None:
    file = VECTORS["file"]
    code = (
        CHUNKS
        + "return Promise.all(given.file.chunks.map(async (c, i) => hex(await cipher.seal(bytes(c), i, i === 1))))"
    )
    assert modules.run("crypto", code, {"file": file}) == file["sealed"]


@pytest.mark.parametrize(
    ("chunk", "index", "last"),
    [(1, 0, False), (0, 1, True), (0, 0, True), (1, 1, False)],
    ids=["moved", "repeated", "cut off", "more promised"],
)
def test_a_chunk_out_of_place_is_damaged(modules: Modules, chunk: int, index: int, last: bool) -> None:
    given = {"file": VECTORS["file"], "place": [chunk, index, last]}
    code = (
        CHUNKS
        + "const [chunk, index, last] = given.place; return cipher.open(bytes(given.file.sealed[chunk]), index, last)"
    )
    assert modules.fault("crypto", code, given) == "OpenFault damaged"


def test_ours_opens_their_backup(modules: Modules) -> None:
    backup = VECTORS["backup"]
    code = "return it.openBackup(given.passphrase, given.sealed)"
    assert modules.run("crypto", code, backup) == backup["text"]


def test_theirs_opens_our_backup(modules: Modules) -> None:
    sealed = modules.run("crypto", "return it.sealBackup('correct horse', 'what was kept')")
    kdf = sealed["kdf"]
    assert kdf["iterations"] >= 600_000
    salt = base64.b64decode(kdf["salt"])
    key = PBKDF2HMAC(hashes.SHA256(), 32, salt, kdf["iterations"]).derive(b"correct horse")
    opened = AESGCM(key).decrypt(base64.b64decode(sealed["iv"]), base64.b64decode(sealed["content"]), None)
    assert opened == b"what was kept"


def test_a_backup_with_another_passphrase_does_not_open(modules: Modules) -> None:
    code = "return it.openBackup('wrong horse', given)"
    assert modules.fault("crypto", code, VECTORS["backup"]["sealed"]) == "BackupFault wrong_passphrase"


@pytest.mark.parametrize("iterations", [1, 599_999, 10_000_001, "600000", None])
def test_a_backup_with_a_strange_work_factor_is_refused(modules: Modules, iterations: Any) -> None:
    sealed = VECTORS["backup"]["sealed"]
    changed = sealed | {"kdf": sealed["kdf"] | {"iterations": iterations}}
    code = "return it.openBackup('correct horse', given)"
    assert modules.fault("crypto", code, changed) == "BackupFault malformed"
