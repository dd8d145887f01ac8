"""Users: names, roles and what these allow. Pure."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime  # noqa: TC003 - pydantic needs it at run time
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import SYSTEM
from schemas.notify import Language  # noqa: TC001 - pydantic needs it at run time
from schemas.privacy import identifier_looks_personal, text_looks_personal
from streams.errors import FenghuoError

__all__ = [
    "ROLES",
    "BadNameError",
    "Role",
    "User",
    "checked_display_name",
    "checked_name",
    "folded_name",
]

Role = Literal["viewer", "officer", "epidemiologist", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_NAME: Final = re.compile(r"[^\W_][\w.@+-]{0,63}")
_LONGEST_DISPLAY_NAME: Final = 80


class BadNameError(FenghuoError):
    """A name cannot be a user's; the text says why."""


class User(BaseModel):
    """Somebody who may sign in."""

    model_config = ConfigDict(frozen=True)

    user_id: int
    name: str = Field(description="Signs in with it; the actor of what they do")
    display_name: str
    role: Role
    region: str = Field(description="Code; they see what lies in it, with all regions below")
    locale: Language
    must_change_password: bool = False
    has_password: bool = True
    disabled: bool = False
    access_epoch: int = Field(
        default=0, exclude=True, description="How often their sessions and tokens were ended"
    )
    created_at: datetime
    last_sign_in_at: datetime | None = None

    @property
    def may_act(self) -> bool:
        """Whether they may move alerts."""
        return self.role != "viewer"

    @property
    def may_see_parameters(self) -> bool:
        """Whether they see the parameters by which detectors judge."""
        return self.role in {"epidemiologist", "admin"}

    @property
    def shown_name(self) -> str:
        """How the page calls them."""
        return self.display_name or self.name

    @property
    def is_admin(self) -> bool:
        """Whether they manage users."""
        return self.role == "admin"


def checked_name(text: str) -> str:
    """Return a user's name as it is kept: NFKC, without regard to case.

    Raises
    ------
    BadNameError
        It is no name, or gives away a phone or resident id number.

    Examples
    --------
    >>> checked_name("  Ｌi.Wei ")
    'li.wei'
    """
    name = folded_name(text)
    if not _NAME.fullmatch(name):
        raise BadNameError(
            f"{text!r} is no user name. Use 1 to 64 letters, digits and . _ - + @, "
            "a letter or digit first.",
            zh="用户名须为 1 至 64 个字母、数字或 . _ - + @，并以字母或数字开头。",
        )
    if name == SYSTEM:
        raise BadNameError(
            f"{SYSTEM!r} is who acts when no person does. Take another name.",
            zh=f"“{SYSTEM}”为系统保留，请换一个用户名。",
        )
    _refuse_personal(name, identifier_looks_personal(name))
    return name


def folded_name(text: str) -> str:
    """Return what a name is looked up by, be it one or not."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def checked_display_name(text: str) -> str:
    """Return how a user is called on the page.

    Raises
    ------
    BadNameError
        It is empty or too long, or gives away a phone or resident id number.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name or len(name) > _LONGEST_DISPLAY_NAME or not name.isprintable():
        raise BadNameError(
            f"{text[:100]!r} is no name to be called by. Use 1 to {_LONGEST_DISPLAY_NAME} letters.",
            zh=f"显示名称须为 1 至 {_LONGEST_DISPLAY_NAME} 个字符。",
        )
    _refuse_personal(name, text_looks_personal(name))
    return name


def _refuse_personal(name: str, found: str | None) -> None:
    if found:
        raise BadNameError(
            f"{name!r} looks like a {found}. Names are shown to others: take another.",
            zh="该名称疑似手机号码、证件号码等个人信息。名称对他人可见，请换一个。",
        )
