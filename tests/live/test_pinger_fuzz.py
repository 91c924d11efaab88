"""Coverage-guided fuzzing of what bidders may send: some thousand inputs in each run, by a fixed seed."""

import subprocess
import sys
from pathlib import Path

RUNS = 20_000
SEED = 20_260_303
SAMPLES = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nx: y\r\n\r\nuntil the end",
    b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
)
WORDS = (
    "HTTP/1.1 ",
    "200 OK",
    "\\x0d\\x0a\\x0d\\x0a",
    "content-length: ",
    "transfer-encoding: chunked",
    "0\\x0d\\x0a",
)
# What the target takes off an input's end: in one piece, and with an orderly end.
UNCUT = b"\x00\x01"

if sys.version_info < (3, 14):  # atheris is built for no later one

    def test_no_bytes_break_a_connection(tmp_path: Path) -> None:
        corpus = tmp_path / "corpus"
        corpus.mkdir()
        for number, sample in enumerate(SAMPLES):
            (corpus / f"{number}").write_bytes(sample + UNCUT)
        words = tmp_path / "words"
        words.write_text("".join(f'"{word}"\n' for word in WORDS))
        target = Path(__file__).with_name("fuzz_pinger.py")
        found = subprocess.run(
            [
                sys.executable,
                target,
                f"-runs={RUNS}",
                f"-seed={SEED}",
                f"-dict={words}",
                f"-artifact_prefix={tmp_path}/",
                "-max_len=4096",
                corpus,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert found.returncode == 0, found.stderr[-4_000:]
        assert f"Done {RUNS} runs" in found.stderr
