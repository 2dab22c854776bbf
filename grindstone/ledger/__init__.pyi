from .describe import describe_tables as describe_tables
from .row import LedgerError as LedgerError
from .row import Row as Row
from .row import table_of as table_of
from .store import Ledger as Ledger
from .tables import TABLES as TABLES
