"""The command line: serve, demo, sim, call, bidder, bench, migrate, openapi."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from callmatrix import bench, demo, main
from callmatrix.bench import auction, calls, decide, reserve, storm
from callmatrix.cli import bidder, call
from callmatrix.core.documents import encode, encode_text
from callmatrix.core.errors import Refused
from callmatrix.settings import SettingRefused, Settings, read
from callmatrix.sim import run as simulate
from callmatrix.store.db import DatabaseGone, DatabaseUnfit
from callmatrix.store.embedded import ServerNotStarted
from callmatrix.store.migrate import MigrationRefused

EXIT_REFUSED: Final = 2
EXIT_BROKEN_PROMISE: Final = 1
REFUSED: Final = (
    SettingRefused,
    ServerNotStarted,
    DatabaseGone,
    DatabaseUnfit,
    MigrationRefused,
    Refused,
    OSError,
)
BENCHES: Final[dict[str, Callable[[], bench.BenchReport]]] = {
    "auction": auction.run,
    "calls": calls.run,
    "decide": decide.run,
    "reserve": reserve.run,
    "storm": storm.run,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="callmatrix", description="Pay-per-call routing and monetization. Settings: docs/operate.md."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the server")
    serve.add_argument("--socket", type=int, help=argparse.SUPPRESS)  # inherited from who supervises it
    serve.set_defaults(run=_serve)
    commands.add_parser("migrate", help="bring the database up to date").set_defaults(run=_migrate)
    commands.add_parser("openapi", help="print the OpenAPI document").set_defaults(run=_openapi)
    _add_demo(commands)
    _add_sim(commands)
    _add_call(commands)
    _add_bidder(commands)
    _add_bench(commands)
    return parser


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("demo", help="run the product with a seeded network and simulated traffic")
    parser.add_argument("--calls", type=_count, default=0, help="drive this many calls at full speed first")
    parser.add_argument(
        "--exit", action="store_true", help="end after those calls, with the promises checked"
    )
    parser.add_argument("--seed", type=int, default=1, help="the seed of callers and buyers")
    parser.add_argument("--history-days", type=_count, default=30, help="days of calls made beforehand")
    parser.set_defaults(run=_demo)


def _add_sim(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("sim", help="simulate days of traffic and check every promise")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=_count, default=3)
    parser.add_argument("--million", action="store_true", help="a million calls over many seeds")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.set_defaults(run=_sim)


def _add_call(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("call", help="place a call through the gateway to a running server")
    parser.add_argument("number", help="the tracked number to dial, such as +14155550100")
    parser.add_argument("--from", dest="caller", default="+14155550199", help="the caller's number")
    parser.add_argument("--press", default="", help="keys for each question, such as 1,94105")
    parser.add_argument("--talk", type=_count, default=120, help="seconds that the buyer talks")
    parser.set_defaults(run=_call)


def _add_bidder(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("bidder", help="send a test ping to an offer's bidder, and show its answer")
    parser.add_argument("offer_id", help="the offer whose bidder is asked")
    parser.add_argument("--campaign", default="", help="the campaign whose deadline and consents hold")
    parser.add_argument("--channel", default="call", choices=("call", "form", "callback"))
    parser.add_argument("--vertical", default="", help="the campaign's by default")
    parser.add_argument("--number", default="", help="the caller's, such as +14155550199")
    parser.add_argument("--state", default="", help="two letters; by ZIP or number by default")
    parser.add_argument("--zip", default="", help="five digits")
    parser.add_argument("--area-code", default="", help="three digits")
    parser.add_argument("--attestation", default="", choices=("", "A", "B", "C"))
    parser.add_argument("--source", default="", help="where the lead is from")
    parser.add_argument(
        "--field", type=_field, action="append", default=[], help="a captured field, such as homeowner=yes"
    )
    parser.set_defaults(run=_bidder)


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("give a field as name=value")
    return name, value


def _add_bench(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("bench", help="run one benchmark")
    parser.add_argument("name", choices=sorted(BENCHES))
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.set_defaults(run=_bench)


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("give a number of at least 0")
    return number


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    options = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace, Settings], int] = options.run
        return command(options, read(os.environ))
    except (
        SettingRefused,
        ServerNotStarted,
        DatabaseGone,
        DatabaseUnfit,
        MigrationRefused,
        Refused,
        OSError,
    ) as error:
        print(f"callmatrix: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        return 130


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    main.serve(settings, inherited=options.socket)
    return 0


def _migrate(_options: argparse.Namespace, settings: Settings) -> int:
    for name in asyncio.run(main.migrate_only(settings)):
        print(name)
    return 0


def _openapi(_options: argparse.Namespace, settings: Settings) -> int:
    print(encode_text(main.openapi(settings)))
    return 0


def _demo(options: argparse.Namespace, settings: Settings) -> int:
    wanted = demo.Wanted(
        calls=options.calls, then_exit=options.exit, seed=options.seed, history_days=options.history_days
    )
    return 0 if demo.run(settings, wanted) else EXIT_BROKEN_PROMISE


def _sim(options: argparse.Namespace, _settings: Settings) -> int:
    report = simulate.million() if options.million else simulate.simulate(options.seed, days=options.days)
    _show(report, as_json=options.json)
    return 0 if all(report.promises.values()) else EXIT_BROKEN_PROMISE


def _call(options: argparse.Namespace, settings: Settings) -> int:
    keys = tuple(options.press.split(",")) if options.press else ()
    placed = call.Placed(number=options.number, caller=options.caller, keys=keys, talk_s=options.talk)
    asyncio.run(call.place(settings, placed))
    return 0


def _bidder(options: argparse.Namespace, settings: Settings) -> int:
    lead = {
        "campaign_id": options.campaign,
        "channel": options.channel,
        "vertical": options.vertical,
        "number": options.number,
        "state": options.state,
        "zip": options.zip,
        "area_code": options.area_code,
        "attestation": options.attestation,
        "source": options.source,
        "fields": dict(options.field),
    }
    return asyncio.run(bidder.try_out(settings, options.offer_id, lead))


def _bench(options: argparse.Namespace, _settings: Settings) -> int:
    report = BENCHES[options.name]()
    _show(report, as_json=options.json)
    return 0


def _show(report: msgspec.Struct, *, as_json: bool) -> None:
    """One JSON object on one line, or laid out for reading."""
    text = encode(report)
    print((text if as_json else msgspec.json.format(text)).decode())


def entry() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
