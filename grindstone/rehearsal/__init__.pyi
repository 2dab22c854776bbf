from .server import app as app
from .server import run as run
from .server import serve as serve
