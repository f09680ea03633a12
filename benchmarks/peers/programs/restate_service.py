"""The service whose handlers Restate calls; each `run` in them is one durable step."""

import restate

peer = restate.Service("peer")


async def noop() -> None:
    """Do nothing."""


@peer.handler()
async def alone(ctx: restate.Context) -> int:  # noqa: ARG001 - Restate's
    """Be a task by itself."""
    return 1


@peer.handler()
async def side_by_side(ctx: restate.Context, steps: int) -> int:
    """Run steps that do not wait for each other."""
    await restate.gather(*(ctx.run_typed("noop", noop) for _ in range(steps)))
    return steps


@peer.handler()
async def one_by_one(ctx: restate.Context, steps: int) -> int:
    """Run steps of which each waits for the one before."""
    for _ in range(steps):
        await ctx.run_typed("noop", noop)
    return steps


app = restate.app([peer])
