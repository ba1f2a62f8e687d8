"""What is deployed beside querent, with real programs: proxies, Prometheus, systemd's checks, image tools.

Quick tests need nothing but Debian packages that are unpacked under build/debs (debs.py); they run in
`make test`. Those marked `deploy` need more (buildah, PyPI's validators) and run in `make check-deploy`.
"""
import sys

from program import ROOT

sys.path.insert(0, str(ROOT / "tests" / "server"))
sys.path.insert(0, str(ROOT / "tests" / "house"))
