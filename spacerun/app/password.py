"""The password in front of an app: only its salted hash is kept, handed on and written down."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from spacerun.errors import UsageError

# Enough to make guessing slow for whoever reads the hash, little enough for a login (about 0.1 s).
_ROUNDS: Final = 200_000


@dataclass(frozen=True)
class Password:
    """A user's name and the hash of the password.

    Attributes:
        user: The name.
        salt: Random bytes, in hexadecimal.
        digest: PBKDF2-HMAC-SHA256 of the password (RFC 8018), in hexadecimal. The start-up hook computes the same.
        rounds: Its iterations.
    """

    user: str
    salt: str
    digest: str
    rounds: int = _ROUNDS

    @classmethod
    def parse(cls, text: str) -> Password:
        """The `USER:PASSWORD` of `--auth`; the password may hold colons.

        Raises:
            UsageError: One of the two is missing. The message does not repeat the text.
        """
        user, _, password = text.partition(":")
        user = user.strip()  # as Gradio does when somebody logs in
        if not user or not password:
            raise UsageError(
                "--auth wants a name, a colon and a password.",
                hint="Write it as --auth USER:PASSWORD, or set SPACERUN_AUTH, which other users of this machine cannot "
                "see.",
            )
        salt = secrets.token_hex(16)
        return cls(user, salt, _digest(password, salt, _ROUNDS))

    def accepts(self, user: str, password: str) -> bool:
        """Whether these are the ones, in a time that tells nothing about the right ones."""
        right = hmac.compare_digest(self.digest, _digest(password, self.salt, self.rounds))
        return hmac.compare_digest(_bytes(self.user), _bytes(user)) and right


def _digest(password: str, salt: str, rounds: int) -> str:
    return hashlib.pbkdf2_hmac("sha256", _bytes(password), bytes.fromhex(salt), rounds).hex()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # what is no text at all is wrong, and no error
