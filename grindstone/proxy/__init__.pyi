from .session import CallLimits as CallLimits
from .session import Session as Session
from .session import open_session as open_session
