"""The page of the whole service for people: its commands can be copied."""

import html
import re
from pathlib import Path

from sunriza_assets_tests.service.jobs.world import world


def test_its_commands_send_what_a_route_needs(tmp_path: Path) -> None:
    with world(tmp_path, open_mode=True) as served, served.client(None) as client:
        page = html.unescape(client.get("/docs").text)
        commands = re.findall(r"<pre>(curl .*?)</pre>", page, re.DOTALL)
        told = {re.sub(r"^.*?8?'http://[^/]*", "", one): one for one in commands}

        def command(path: str) -> str:
            return next(one for key, one in told.items() if key.startswith(path))

        assert "-F source_image=@file -F emotion=" in command("/render' ")
        assert "-F portrait=@file" in command("/avatars' ")
        assert '"avatar_id": "anna"' in command("/generate-dynamics'")
        assert '"start_time": ' in command("/trimVideo'")
        assert "curl -I " in page and "-d '{}'" not in command("/keys'")
