from .exports import ExportFormat as ExportFormat
from .exports import export_run as export_run
from .html import render_html as render_html
from .markdown import headline as headline
from .markdown import render_markdown as render_markdown
from .model import RunReport as RunReport
from .model import to_json as to_json
from .run_report import build_report as build_report
