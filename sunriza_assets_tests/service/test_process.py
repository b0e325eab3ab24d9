"""The API process as a process: what it loads, and how much memory uploads take."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("dagster", "torch", "cv2", "onnxruntime", "pandas", "scipy", "av", "numpy")

LOADED = f"""
import sys, pathlib
from sunriza_assets_tests.service.serving import make_service, serving
with serving(make_service(pathlib.Path(sys.argv[1]))) as served, served.client() as client:
    for path in ("/health", "/health/ready", "/metrics", "/openapi.json", "/nothing"):
        client.get(path)
    client.post("/generate-dynamics", json={{"avatar_id": "a"}})
    client.post("/render", files={{"source_image": b"x"}}, data={{"emotion": "happy"}})
    client.get("/jobs")
    client.get("/avatars")
print([name for name in {HEAVY!r} if name in sys.modules])
"""

UPLOADING = """
import sys, pathlib, time, asyncio
from fastapi import APIRouter, Request
from sunriza_assets.service.uploads import UploadRules, uploaded
from sunriza_assets_tests.service.serving import make_service, serving
router = APIRouter()
kind = {"requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}}
@router.post("/upload", openapi_extra=kind)
async def upload(request: Request) -> dict[str, int]:
    async with uploaded(request, UploadRules(files=("clip",))) as form:
        await asyncio.sleep(1)
        return {"size": form.files["clip"][0].size}
with serving(make_service(pathlib.Path(sys.argv[1])), router) as served:
    print(served.port, flush=True)
    sys.stdin.read()
"""


def test_the_api_process_loads_nothing_heavy(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr[-2000:]


@pytest.mark.slow
def test_twenty_uploads_of_50_mb_at_once_stay_off_the_memory(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", UPLOADING, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert child.stdout is not None
        url = f"http://127.0.0.1:{child.stdout.readline().strip()}/upload"
        size = 50 * (1 << 20) - 1000
        content = tmp_path / "clip"
        with content.open("wb") as file:
            file.truncate(size)

        def send(results: list[int]) -> None:
            with content.open("rb") as file:
                answer = httpx.post(url, files={"clip": file}, timeout=300, trust_env=False)
                results.append(answer.json()["size"])

        process = psutil.Process(child.pid)
        send([])  # what the first request loads is not the uploads' memory
        before = process.memory_info().rss
        results: list[int] = []
        threads = [threading.Thread(target=send, args=(results,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        most = before
        while any(thread.is_alive() for thread in threads):
            most = max(most, process.memory_info().rss)
            threads[0].join(0.05)
            next((one for one in threads if one.is_alive()), threads[0]).join(0.05)
        assert results == [size] * 20
        assert most - before < 200e6  # 31 MB were seen, and all of them together have 1 GB
        assert list((tmp_path / "service" / "uploads").iterdir()) == []
    finally:
        child.kill()
        child.wait()
