"""What is deployed beside querent, with real programs: proxies, Prometheus, validators.

Quick tests need nothing but Debian packages that are unpacked under build/debs (debs.py); they run in
`make test`. Those marked `deploy` need more (PyPI's validators) or longer and run in `make check-deploy`.
"""
import sys

from program import ROOT

sys.path.insert(0, str(ROOT / "tests" / "server"))
sys.path.insert(0, str(ROOT / "tests" / "house"))
