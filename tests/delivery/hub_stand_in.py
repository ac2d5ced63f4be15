"""A stand-in for the Hugging Face Hub on the loopback interface, as far as a push and a pull need it."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """Repositories by name: commits, each a dictionary of files, and tags."""

    def __init__(self):
        self.commits, self.order, self.tags = {}, {}, {}
        self.lock = threading.Lock()
        self.private = {}
        self.requests = []

    def create(self, repository, private):
        with self.lock:
            if repository in self.commits:
                return False
            self.private[repository] = private
            self.commits[repository], self.order[repository], self.tags[repository] = {}, [], {}
            self.commit(repository, {".gitattributes": b"* text=auto\n"})
            return True

    def commit(self, repository, files):
        oid = hashlib.sha1(repr((sorted(files.items()), len(self.order[repository]))).encode()).hexdigest()
        self.commits[repository][oid] = files
        self.order[repository].append(oid)
        return oid

    def find(self, repository, revision):
        if revision == "main":
            return self.order[repository][-1]
        return self.tags[repository].get(revision, revision)


def make_handler(hub):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()

        def do_POST(self):
            self.answer()

        def do_DELETE(self):
            self.answer()

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
            hub.requests.append((self.command, self.path))
            try:
                code, content, headers = self.route(parts, body)
            except KeyError:
                code, content, headers = 404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"}
            sent = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(code)
            for name, value in {"Content-Length": len(sent), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(sent)

        def route(self, parts, body):
            if parts[:3] == ["api", "repos", "create"]:
                told = json.loads(body)
                name = f"{told.get('organization') or 'user'}/{told['name']}"
                private = told.get("private", told.get("visibility") == "private")
                made = hub.create(name, private)
                return (200 if made else 409), {"url": f"http://{self.headers['Host']}/{name}"}, {}
            if parts == ["api", "validate-yaml"]:
                return 200, {"errors": [], "warnings": []}, {}
            if parts[0] == "api" and parts[1] == "models":
                return self.model("/".join(parts[2:4]), parts[4:], body)
            if parts[2:3] == ["resolve"]:
                return self.file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
            raise KeyError(self.path)

        def model(self, repository, rest, body):
            commits = hub.commits[repository]
            if rest[:1] == ["preupload"]:
                held = commits[hub.find(repository, rest[1])]
                told = [
                    {"path": path, "uploadMode": "regular", "shouldIgnore": False}
                    | ({"oid": sha1(held[path])} if path in held else {})
                    for path in (one["path"] for one in json.loads(body)["files"])
                ]
                return 200, {"files": told}, {}
            if rest[:1] == ["commit"]:
                return self.committed(repository, rest[1], body)
            if rest[:1] == ["tag"]:
                return self.tagged(repository, rest[1], body)
            if rest[:1] == ["refs"]:
                tags = hub.tags[repository].items()
                told = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid} for name, oid in tags]
                main = {"name": "main", "ref": "refs/heads/main", "targetCommit": hub.find(repository, "main")}
                return 200, {"tags": told, "branches": [main], "converts": []}, {}
            revision = rest[1] if rest[:1] in (["revision"], ["tree"]) else "main"
            oid = hub.find(repository, revision)
            files = commits[oid]
            if rest[:1] == ["tree"]:
                told = [
                    {"type": "file", "path": name, "size": len(data), "oid": sha1(data)} for name, data in files.items()
                ]
                return 200, told, {}
            siblings = [{"rfilename": name} for name in files]
            told = {"id": repository, "_id": "0", "sha": oid, "siblings": siblings, "private": True}
            return 200, {**told, "tags": [], "downloads": 0, "likes": 0}, {}

        def committed(self, repository, revision, body):
            with hub.lock:
                files = dict(hub.commits[repository][hub.find(repository, revision)])
                for line in map(json.loads, body.decode().splitlines()):
                    told = line["value"]
                    if line["key"] == "file":
                        files[told["path"]] = base64.b64decode(told["content"])
                    elif line["key"] == "deletedFile":
                        files.pop(told["path"])
                oid = hub.commit(repository, files)
            url = f"http://{self.headers['Host']}/{repository}/commit/{oid}"
            return 200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""}, {}

        def tagged(self, repository, name, body):
            with hub.lock:
                tags = hub.tags[repository]
                if self.command == "DELETE":
                    tags.pop(name)
                    return 200, {}, {}
                tag = json.loads(body)["tag"]
                if tag in tags:
                    return 409, {"error": "Tag reference exists already"}, {}
                tags[tag] = hub.find(repository, name)
                return 200, {}, {}

        def file(self, repository, revision, name):
            oid = hub.find(repository, revision)
            content = hub.commits[repository][oid][name]
            return 200, content, {"ETag": f'"{sha1(content)}"', "X-Repo-Commit": oid, "Accept-Ranges": "bytes"}

    return Handler


def sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running_hub():
    """The stand-in and its address."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(hub))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
