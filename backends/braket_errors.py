"""What boto3 raises, in this room's words. Nothing of a request is repeated in a message, so no credentials are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from backends.errors import (
    BackendError,
    CredentialsMissing,
    CredentialsRefused,
    DependencyNotInstalled,
    DeviceUnavailable,
    ExecutionFailed,
    OutcomeUnknown,
    Throttled,
    TransientFailure,
)

REMEDY = "set them up where boto3 looks: `aws configure`, `aws sso login`, AWS_PROFILE or AWS_ACCESS_KEY_ID"

_THROTTLED = {
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",  # S3's word for it
}
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
_OLD_CREDENTIALS = {"TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError", "SSOError"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "InvalidToken"}  # S3 answers 400 to these
_NOT_SENT = {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"}
_REFUSED_HERE = {"ParamValidationError", "NoRegionError", "InvalidRegionError", "UnknownEndpointError"}


@contextmanager
def in_our_words(name: str, *, buying: bool = False) -> Iterator[None]:
    """Turn what boto3 raises inside into a ``BackendError``.

    Args:
        name: of the backend.
        buying: the call buys something: whatever does not say that nothing was bought leaves the outcome unknown.
            Only right for a client that does not retry by itself.
    """
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise DependencyNotInstalled(name, "braket", "braket") from error
    try:
        yield
    except ClientError as error:
        raise _answered(name, error.response, buying) from error
    except BotoCoreError as error:
        raise _unanswered(name, error, buying) from error


def _answered(name: str, response: Mapping[str, Any], buying: bool) -> BackendError:
    """The provider answered with an error."""
    told = response.get("Error", {})
    code, status = str(told.get("Code", "")), int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    words = f"{name}: Amazon Web Services says {code}: {told.get('Message') or 'no more'}"
    if code in _THROTTLED or status == 429:
        return Throttled(words, _retry_after_s(response))
    if code in _EXPIRED or status in (401, 403):
        return CredentialsRefused(f"{words}; {REMEDY}, with permission for Amazon Braket and its results in S3")
    if code == "DeviceOfflineException":
        return DeviceUnavailable(words)
    if code == "ServiceQuotaExceededException":
        return TransientFailure(f"{words}: wait until other tasks have ended, or have the quota raised")
    if 400 <= status < 500 and not (buying and _is_about_the_token(words)):
        return ExecutionFailed(words)
    return OutcomeUnknown(words) if buying else TransientFailure(words)


def _is_about_the_token(words: str) -> bool:
    """A token that is refused was used before, so something was bought (how Braket words it is not documented)."""
    return any(part in words.lower() for part in ("idempot", "clienttoken", "client token"))


def _unanswered(name: str, error: Exception, buying: bool) -> BackendError:
    """No answer came: not sent, sent and lost, or no way to sign it."""
    kind = type(error).__name__
    if kind in _NO_CREDENTIALS:
        return CredentialsMissing(f"{name}: boto3 finds no credentials ({kind}): {REMEDY}")
    if kind in _OLD_CREDENTIALS:
        return CredentialsRefused(f"{name}: boto3's credentials have ended ({kind}): {REMEDY}")
    if kind in _REFUSED_HERE:
        return ExecutionFailed(f"{name}: boto3 refuses to send it: {error}")
    words = f"{name}: Amazon Web Services could not be asked ({kind})"
    if kind in _NOT_SENT or not buying:
        return TransientFailure(f"{words}: look at the network")
    return OutcomeUnknown(f"{words}: it may have taken the task or not")


def _retry_after_s(response: Mapping[str, Any]) -> float | None:
    """The header in seconds; its other form, a date, is left to the caller's own patience."""
    header = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    return float(header) if header.replace(".", "", 1).isdigit() else None
