"""The Dockerfile and the Kubernetes example fit the server: what they name is there, and nothing more is needed.

There is no Docker here: that an image is built from it, and that a cluster takes the example, is not tested.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from served import colours, image_file
from test_inference_protocol import application

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.exporters import export
from linnaea.models import build
from linnaea.options.option import keywords_in
from linnaea.options.serving import Hosting, Serving

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OWN = {"--host", "--port"}


@pytest.fixture(scope="module")
def objects():
    """The objects of the example, by kind."""
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    return {one["kind"]: one for one in documents}


@pytest.fixture(scope="module")
def pod(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    (container,) = pod["containers"]
    return container


@pytest.fixture(scope="module")
def instructions():
    """The instructions of the Dockerfile: word and the rest of the line."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def options():
    """The options of `serve` by flag, with their default values."""
    keywords = [keyword for group in (Hosting, Serving) for keyword in keywords_in(group)]
    return {f"--{keyword.name.replace('_', '-')}": keyword for keyword in keywords}


def require_options(words):
    """Raise unless each is an option of the verb with a value that it takes."""
    for word in words:
        flag, _, value = word.partition("=")
        if flag in OWN:
            continue
        keyword = options()[flag]
        keyword.require(yaml.safe_load(value), flag)


def test_the_options_in_the_example_are_those_of_the_verb(container):
    assert container["command"][:2] == ["linnaea", "serve"]
    require_options(container["args"])
    with pytest.raises(KeyError):
        require_options(["--max-queues=3"])


def test_probes_ask_what_the_server_answers(container):
    port = next(port for port in container["ports"] if port["name"] == "http")["containerPort"]
    assert f"--port={port}" in container["args"]
    assert "--host=0.0.0.0" in container["args"]
    with TestClient(application()) as client:
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container[name]["httpGet"]
            assert probe["port"] == "http"
            assert client.get(probe["path"]).status_code == 200
    assert container["livenessProbe"]["httpGet"]["path"] != container["readinessProbe"]["httpGet"]["path"]


def test_a_pod_has_the_time_it_needs_to_end(pod, container):
    words = dict(word.split("=") for word in container["args"])
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause + float(words["--drain-time"]) + 5


def test_it_runs_as_nobody_in_particular_and_writes_nowhere_but_into_scratch(pod, container):
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    writable = [mount for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert [mount["mountPath"] for mount in writable] == ["/tmp"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_the_parts_of_the_example_name_each_other(objects, container):
    deployment = objects["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for chosen in (
        deployment["spec"]["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert chosen.items() <= labels.items()
    assert objects["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    scaled = objects["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaled["minReplicas"] <= deployment["spec"]["replicas"] <= scaled["maxReplicas"]
    (metric,) = scaled["metrics"]
    words = dict(word.split("=") for word in container["args"])
    assert float(metric["pods"]["target"]["averageValue"]) < int(words["--max-queue"])
    assert objects["ServiceAccount"]["metadata"]["name"] == deployment["spec"]["template"]["spec"]["serviceAccountName"]


def test_the_figure_that_it_scales_by_is_one_of_the_server(objects):
    from linnaea.delivery.serving.metrics import Metrics

    metrics = Metrics()
    metrics.watch_queue(lambda: 3)
    name = objects["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert f"\n{name} 3.0\n" in metrics.text()[0].decode()
    metrics.close()


def test_the_image_is_slim_runs_as_another_user_and_says_how_it_is(instructions):
    words = [word for word, _ in instructions]
    values = dict(instructions)
    stages = [rest for word, rest in instructions if word == "FROM"]
    assert all("-slim" in stage for stage in stages)
    last = words.index("FROM", words.index("FROM") + 1)
    user = next(rest for word, rest in instructions[last:] if word == "USER")
    assert user.split(":")[0] not in ("root", "0")
    assert words.index("USER") < words.index("CMD")
    assert values["STOPSIGNAL"] == "SIGTERM"
    assert "/v2/health/ready" in values["HEALTHCHECK"]
    assert f":{values['EXPOSE']}/" in values["HEALTHCHECK"]
    compile(json.loads(values["HEALTHCHECK"].split("CMD", 1)[1])[2], "healthcheck", "exec")


def test_the_command_of_the_image_is_one_of_the_verb(instructions):
    shell, flag, command = json.loads(dict(instructions)["CMD"])
    assert (shell, flag) == ("sh", "-c")
    words = shlex.split(command.replace("$WORKERS", "2"))
    assert words[:3] == ["exec", "linnaea", "serve"]
    flags = words[4:]
    require_options([f"{name}={value}" for name, value in zip(flags[::2], flags[1::2], strict=True)])
    assert f"--port {dict(instructions)['EXPOSE']}" in command


def test_what_is_copied_into_the_image_is_there(instructions):
    for word, rest in instructions:
        if word == "COPY" and not rest.startswith(("--from", "${MODEL}")):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source


ONLY = """
import re, sys
from importlib.metadata import packages_distributions, requires, PackageNotFoundError

def named(text):
    return re.split(r"[^A-Za-z0-9_.-]", text, maxsplit=1)[0].lower().replace("_", "-")

waiting = [named(line) for line in open({requirements!r}) if line.strip() and not line.startswith("#")]
allowed = {{"linnaea", *waiting}}
while waiting:  # what they need themselves comes with them
    try:
        needed = {{named(each) for each in requires(waiting.pop()) or () if "extra ==" not in each}}
    except PackageNotFoundError:
        continue
    waiting += needed - allowed
    allowed |= needed
distributions = packages_distributions()

class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        of = {{each.lower().replace("_", "-") for each in distributions.get(top, ())}}
        if of and not of & allowed:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Only())
"""


def test_an_exported_folder_is_served_with_the_packages_of_the_image_alone(tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(image_file())
    model = Classifier(TorchScorer(build("majority", {"classes": 2})), ("ant", "bee"), "binary", Recipe(16))
    folder = export(model, "onnx", tmp_path / "onnx", [photo]).folder
    script = ONLY.format(requirements=str(DEPLOY / "requirements.txt")) + (
        "import threading, time, urllib.request\n"
        "from linnaea.delivery.serving import connections\n"
        "listened = []\n"
        "real = connections.listener\n"
        "connections.listener = lambda *address: listened.append(real(*address)) or listened[0]\n"
        "def ask():\n"
        "    import os, signal\n"
        "    while True:\n"
        "        time.sleep(0.05)\n"
        "        try:\n"
        "            address = 'http://127.0.0.1:%d' % listened[0].getsockname()[1]\n"
        f"            body = open({str(photo)!r}, 'rb').read()\n"
        "            for path in ('/predict', '/metrics', '/v2/health/ready', '/'):\n"
        "                with urllib.request.urlopen(address + path, body if path == '/predict' else None) as answer:\n"
        "                    print(path, answer.status, flush=True)\n"
        "            break\n"
        "        except (OSError, IndexError) as error:\n"
        "            if hasattr(error, 'status'):\n"
        "                print(error, flush=True)\n"
        "                break\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "threading.Thread(target=ask, daemon=True).start()\n"
        "from linnaea.cli import main\n"
        f"sys.argv = ['linnaea', 'serve', {str(folder)!r}, '--port', '0']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["/predict 200", "/metrics 200", "/v2/health/ready 200", "/ 200"]
    assert colours is not None
