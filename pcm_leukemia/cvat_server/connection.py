"""cvat-sdk's client for an address: where its access token comes from, and what its errors mean.

The token is taken from where cvat-sdk and cvat-cli keep it: a saved profile, or the environment variable
CVAT_ACCESS_TOKEN. It is not an argument of anything here, and messages are made of the status of an answer alone, never of
the text of the SDK's exceptions.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pcm_leukemia.cvat_server.address import Address, save_token
from pcm_leukemia.errors import DataWarning, MissingExtra, PcmError, ServerError, ServerUnavailable

if TYPE_CHECKING:
    from cvat_sdk.core.client import Client

__all__ = ["AGAIN", "answers", "connected", "require_sdk"]

_SECONDS = (20.0, 300.0)
"""Until a connection is given up, and until an answer is, of which no byte has come."""
_CHECK_EVERY = 2.0
"""Seconds between two questions whether an export is ready."""
_LOGGER = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())  # else Python prints the SDK's account of each failure
AGAIN = "run the same command again to resume"


def require_sdk() -> None:
    """Raise MissingExtra if cvat-sdk is not installed."""
    try:
        import cvat_sdk.core.auth  # noqa: F401
    except ImportError as error:
        raise MissingExtra("cvat-sdk", "cvat") from error


@contextmanager
def connected(address: Address, profile: str | None = None) -> Iterator[Client]:
    """cvat-sdk's client, logged in to the server of an address.

    Parameters
    ----------
    address
        What is asked for.
    profile
        The name of a profile that cvat-cli saved; by default the token in CVAT_ACCESS_TOKEN, or else in a profile of
        this server.

    Raises
    ------
    MissingExtra
        If cvat-sdk is not installed.
    ServerUnavailable
        If there is no access token, or the server cannot be reached.
    ServerError
        If there is no CVAT server at this address.
    """
    require_sdk()
    from cvat_sdk.core.client import AccessTokenCredentials, Client, Config

    token = _token(address.server, profile)
    config = Config(status_check_period=_CHECK_EVERY)
    client = Client(address.server, logger=_LOGGER, config=config, check_server_version=False)
    with client:
        _give_up_in_the_end(client)
        _require_cvat(client, address.server)
        client.login(AccessTokenCredentials(token))
        yield client


def _token(server: str, profile: str | None) -> str:
    """The access token for a server."""
    from cvat_sdk.core.auth import CVAT_ACCESS_TOKEN_ENV_VAR, AuthStore
    from cvat_sdk.core.exceptions import AuthStoreError

    given = os.environ.get(CVAT_ACCESS_TOKEN_ENV_VAR)
    if profile is None and given:
        return given
    try:
        store = AuthStore()
        profiles = store.list_profiles()
        default = store.get_default_profile()
    except AuthStoreError as error:
        raise ServerUnavailable(
            f"{server}: its access token cannot be read ({error}); correct that first"
        ) from None
    if profile is not None:
        if profile not in profiles:
            known = ", ".join(sorted(profiles)) or "none"
            raise ServerError(
                f"{server}: no profile is called {profile} (saved: {known}); save it: {save_token(server)} --name {profile}"
            )
        if profiles[profile].server != server:
            raise ServerError(
                f"{server}: profile {profile} is for {profiles[profile].server}, and its access token is sent nowhere else; "
                "name a profile of this server"
            )
        return str(profiles[profile].token)
    ordered = [*([default[1]] if default else []), *profiles.values()]
    token = next((each.token for each in ordered if each.server == server), None)
    if token is None:
        raise ServerUnavailable(
            f"{server}: there is no access token for it; make one in CVAT (Profile, Security), and save it: "
            f"{save_token(server)}, or set {CVAT_ACCESS_TOKEN_ENV_VAR}"
        )
    return str(token)


def _give_up_in_the_end(client: Client) -> None:
    """Limit how long a request waits; the SDK waits for ever."""
    import urllib3

    pool = client.api_client.rest_client.pool_manager
    request = pool.request

    def limited(*arguments: Any, timeout: Any = None, **options: Any) -> Any:
        return request(*arguments, timeout=timeout or urllib3.Timeout(None, *_SECONDS), **options)

    pool.request = limited


def _require_cvat(client: Client, server: str) -> None:
    """Refuse a server that is not CVAT, and warn of one of another version than cvat-sdk."""
    from cvat_sdk.version import VERSION

    with answers(server, first=True):
        version = client.get_server_version()
    fitting = {(each.major, each.minor) for each in client.SUPPORTED_SERVER_VERSIONS}
    if (version.major, version.minor) not in fitting:
        warnings.warn(
            f"{server}: runs CVAT {version}, and cvat-sdk is of version {VERSION}; if something fails, install the one that "
            f"fits: pip install 'cvat-sdk=={version.major}.{version.minor}.*'",
            DataWarning,
            stacklevel=4,
        )


@contextmanager
def answers(where: object, *, first: bool = False, may: str = "see") -> Iterator[None]:
    """Turn the errors of requests inside this block into one sentence.

    Parameters
    ----------
    where
        What is asked for, for the message.
    first
        Whether this is the first request, which shows if there is a CVAT server at all.
    may
        What the account must be allowed to do.
    """
    import urllib3
    from cvat_sdk.api_client.exceptions import ApiException, OpenApiException
    from cvat_sdk.core.exceptions import BackgroundRequestException, CvatSdkException

    try:
        yield
    except PcmError:
        raise
    except ApiException as error:
        refused = ServerError if error.status == 404 else ServerUnavailable
        raise refused(f"{where}: {_refusal(error.status, first=first, may=may)}") from None
    except urllib3.exceptions.HTTPError as error:
        cause = type(getattr(error, "reason", None) or error).__name__
        if cause == "SSLError":
            said = "its certificate is not accepted; ask who runs the server for the right address or certificate"
        elif cause == "ResponseError":
            said = f"the server fails ({error.reason}); wait, and {AGAIN}"  # type: ignore[attr-defined]
        elif first:
            said = f"cannot be reached ({cause}); check the address and the network"
        else:
            said = f"the connection broke off ({cause}); {AGAIN}"
        raise ServerUnavailable(f"{where}: {said}") from None
    except BackgroundRequestException as error:
        reason = " ".join(str(error).split())[:200]
        raise ServerError(f"{where}: the server could not prepare the export ({reason}); {AGAIN}") from None
    except (ConnectionError, TimeoutError) as error:
        raise ServerUnavailable(
            f"{where}: the connection broke off ({type(error).__name__}); {AGAIN}"
        ) from None
    except OSError:
        raise  # the disk's
    except (
        OpenApiException,
        CvatSdkException,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
    ) as error:
        raise ServerError(f"{where}: {_not_understood(error, first=first)}") from None
    except (TypeError, ValueError) as error:
        raise ServerError(f"{where}: {_not_understood(error, first=first)}") from None


def _refusal(status: int, *, first: bool, may: str) -> str:
    """What the status of an answer means."""
    if status == 401:
        return "the server does not accept the access token; make a new one in CVAT (Profile, Security), and save it"
    if status == 403:
        return f"your account may not {may} it; ask its owner, or use an access token that may"
    if status == 404 and first:
        return "is not a CVAT server; copy the address from the browser"
    if status == 404:
        return f"there is nothing at this address that your account may {may}; check the number, or ask its owner"
    if status == 429:
        return f"the server refuses so many requests; wait, and {AGAIN}"
    return f"the server answers with status {status}; wait, and {AGAIN}"


def _not_understood(error: Exception, *, first: bool) -> str:
    from cvat_sdk.version import VERSION

    if first:
        return (
            "is not a CVAT server, or asks for something before it answers; copy the address from the browser"
        )
    return (
        f"the answer is not that of CVAT {VERSION} ({type(error).__name__}); install the cvat-sdk of the server's version: "
        "pip install 'cvat-sdk==VERSION'"
    )
