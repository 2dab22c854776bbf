from .serve import open_session as open_session
from .session import CallLimits as CallLimits
from .session import Session as Session
