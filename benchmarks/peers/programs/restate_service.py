"""The service whose handlers Restate calls: a task is a durable step of a handler, or a call of another handler."""

import restate

peer = restate.Service("peer")


async def noop() -> None:
    """Do nothing."""


@peer.handler()
async def called(ctx: restate.Context, nothing: None) -> None:
    """Do nothing."""


@peer.handler()
async def wide_steps(ctx: restate.Context, tasks: int) -> int:
    """Run steps that do not wait for each other."""
    await restate.gather(*(ctx.run_typed("noop", noop) for _ in range(tasks)))
    return tasks


@peer.handler()
async def chain_steps(ctx: restate.Context, tasks: int) -> int:
    """Run steps of which each waits for the one before."""
    for _ in range(tasks):
        await ctx.run_typed("noop", noop)
    return tasks


@peer.handler()
async def wide_calls(ctx: restate.Context, tasks: int) -> int:
    """Call a handler many times, none of which waits for another."""
    await restate.gather(*(ctx.service_call(called, arg=None) for _ in range(tasks)))
    return tasks


@peer.handler()
async def chain_calls(ctx: restate.Context, tasks: int) -> int:
    """Call a handler again each time it has returned."""
    for _ in range(tasks):
        await ctx.service_call(called, arg=None)
    return tasks


app = restate.app([peer])
