"""The source of trades of an installation on kind, where the exchange refuses this machine's location."""

from collections.abc import Callable, Mapping

from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.kubernetes import helmfile, upgrade_check
from ops.kubernetes.kube_api import KubeApi
from ops.platform.exchange_hosts import Hosts, Refused, Unreachable, choose, exchange


def fallback(
    settings: OpsSettings, cluster: KubeApi, env: Mapping[str, str], report: Callable[[str], None]
) -> dict[str, str]:
    """Return the variables that replace an exchange which refuses this machine; empty if it serves it.

    Its market-data hosts come first, then the simulator: never on an installed platform with trades of the exchange,
    whose trade ids overlap with the simulator's. An exchange that cannot be reached from here is only reported, because
    the pods may have another way to it.

    Raises:
        Problem: the exchange refuses, and the simulator cannot take its place.
    """
    wanted = _hosts(settings, env)
    if exchange(wanted.stream) != "binance":
        return {}
    try:
        chosen = choose(wanted)
    except Unreachable as problem:
        report(str(problem))
        return {}
    except Refused as problem:
        installed = upgrade_check.installed_feed(cluster)
        if installed is not None and exchange(installed) == "binance":
            raise
        report(f"{problem}; the trades come from the simulator instead")
        replaced = {"FEED": "simulator", "BINANCE_WS_URL": "", "BINANCE_REST_URL": ""}
    else:
        if chosen == wanted:
            return {}
        report(f"the exchange refuses this location at {wanted.rest}; its market-data hosts answer: {chosen.rest}")
        replaced = chosen.variables
    if _hosts(settings, {**env, **replaced}) == wanted:
        fix = f"set feed: simulator in {settings.VALUES}, or remove it there"
        raise Problem("the exchange refuses this location", f"{settings.VALUES} names {wanted.rest}", fix)
    return replaced


def _hosts(settings: OpsSettings, env: Mapping[str, str]) -> Hosts:
    """Return the hosts that the producer would get."""
    found = helmfile.values(settings.ENV, settings.KUBE_CONTEXT, env, "producer", own=settings.VALUES)
    given = found["producer"]["settings"]
    return Hosts(given["BINANCE_WS_URL"], given["BINANCE_REST_URL"])
