"""Tells the calls what the spool kept while the database was gone."""

import asyncio
import logging
from pathlib import Path
from typing import Final

import msgspec

from callmatrix.core.errors import Refused
from callmatrix.dialects.carriers.urls import parse_path
from callmatrix.live import spool, voice
from callmatrix.live.app import App
from callmatrix.store.db import DatabaseGone

EVERY_S: Final = 1.0
_log = logging.getLogger(__name__)


async def run(app: App) -> None:
    """Look into the spool every second until cancelled."""
    while True:
        try:
            await replay(app)
        except DatabaseGone:
            pass
        except Exception:  # the next round starts anew
            _log.exception("the spool cannot be told")
        await asyncio.sleep(EVERY_S)


async def replay(app: App) -> int:
    """Tell what can be told now, oldest first; how many webhooks were accounted for."""
    paths = await asyncio.to_thread(spool.waiting, spool.folder(app.settings.data))
    if not paths:
        return 0
    await app.db.ping()
    told = 0
    for path in paths:
        told += await _tell(app, path)
    return told


async def _tell(app: App, path: Path) -> bool:
    taken = await asyncio.to_thread(spool.take, path)
    if taken is None:
        return False
    try:
        webhook = taken.read()
        target = parse_path(webhook.path)
        wired = app.catalog.connection(target.connection_id) if target is not None else None
        if target is None or wired is None:
            raise Refused("not_found", f"nobody answers {webhook.path} any more")
        # The same way as at first, except that the caller has heard the fail-safe reply.
        await voice.told(app, wired, target, webhook.params, at=webhook.at, failed_safe=True)
    except DatabaseGone:
        raise
    except (Refused, msgspec.MsgspecError) as error:
        _log.error("a kept webhook cannot be told (%s): %s", path.name, error)
        await asyncio.to_thread(taken.set_aside)
        return False
    except Exception:  # a bug: one webhook must not keep the others from being told
        _log.exception("a kept webhook cannot be told (%s)", path.name)
        await asyncio.to_thread(taken.set_aside)
        return False
    else:
        await asyncio.to_thread(taken.done)
        return True
    finally:
        taken.let_go()
