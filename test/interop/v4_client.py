"""A small declarative client of the public v4 API, as infrastructure tools are: it knows nothing of Postern, and nothing but
Python's own library. It reads one JSON document on stdin: {"api", "token", "account_name", "zone_name", "wanted", "steps"}.
For each step it makes what is wanted (or, at the step "destroy", removes it), reads everything back, and prints the plan that
is left. A plan that is not empty after a step means that the API did not keep what it was given."""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request


class Api:
    def __init__(self, base, token):
        self.base, self.token = base, token

    def call(self, method, path, body=None, query=None):
        url = self.base + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer " + self.token, "Content-Type": "application/json"}
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=20) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise SystemExit("%s %s: %s %s" % (method, path, error.code, error.read().decode()))
        if not answer["success"] or answer["errors"]:
            raise SystemExit("%s %s: %s" % (method, path, answer))
        return answer

    def result(self, *args, **more):
        answer = self.call(*args, **more)
        return None if answer is None else answer["result"]

    def listing(self, path, query):
        found, page = [], 1
        while True:
            answer = self.call("GET", path, query=dict(query, page=page, per_page=3))
            found += answer["result"]
            info = answer["result_info"]
            if page >= info["total_pages"]:
                assert len(found) == info["total_count"], (path, info)
                return found
            page += 1


# Each kind: where it lives, what finds it, which keys are sent and must read back the same.
KINDS = {
    "tunnel": {"path": "{account}/cfd_tunnel", "find": ["name"], "keys": ["name", "config_src"], "change": "PATCH"},
    "network": {"path": "{account}/teamnet/virtual_networks", "find": ["name"],
                "keys": ["name", "comment"], "change": "PATCH", "whole": True},
    "route": {"path": "{account}/teamnet/routes", "find": ["comment"],
              "keys": ["network", "tunnel_id", "virtual_network_id", "comment"], "change": "PATCH"},
    "hostname_route": {"path": "{account}/zerotrust/routes/hostname", "find": ["hostname"],
                       "keys": ["hostname", "tunnel_id", "comment"], "change": "PATCH"},
    "record": {"path": "{zone}/dns_records", "find": ["name"],
               "keys": ["name", "type", "content", "proxied", "ttl", "comment"], "change": "PUT"},
}


class Client:
    def __init__(self, order):
        self.api = Api(order["api"], order["token"])
        [account] = self.api.listing("/accounts", {"name": order["account_name"]})
        [zone] = self.api.listing("/zones", {"name": order["zone_name"], "account.id": account["id"]})
        self.places = {"account": "/accounts/" + account["id"], "zone": "/zones/" + zone["id"]}
        self.ids = {}

    def base(self, kind):
        return KINDS[kind]["path"].format(**self.places)

    def filled(self, value):
        """`<tunnel.web>` stands for the id of what was made under that name."""
        if isinstance(value, str):
            for name, made in self.ids.items():
                value = value.replace("<%s>" % name, made)
        return value

    def attributes(self, one):
        return {key: self.filled(value) for key, value in one["set"].items()}

    def find(self, one):
        kind, wanted = KINDS[one["kind"]], self.attributes(one)
        if one["label"] in self.ids:
            found = self.api.result("GET", self.base(one["kind"]) + "/" + self.ids[one["label"]])
            return found if found and not found.get("deleted_at") else None
        query = {} if one["kind"] == "record" else {"is_deleted": "false"}
        query.update({key: wanted[key] for key in kind["find"]})
        if kind.get("whole"):
            found = self.api.result("GET", self.base(one["kind"]), query=query)
        else:
            found = self.api.listing(self.base(one["kind"]), query)
        return found[0] if found else None

    def differences(self, one, found):
        wanted = self.attributes(one)
        return sorted(key for key in KINDS[one["kind"]]["keys"] if key in wanted and found.get(key) != wanted[key])

    def apply(self, wanted):
        for one in wanted:
            found, kind = self.find(one), KINDS[one["kind"]]
            if found is None:
                found = self.api.result("POST", self.base(one["kind"]), self.attributes(one))
            elif self.differences(one, found):
                path = self.base(one["kind"]) + "/" + found["id"]
                found = self.api.result(kind["change"], path, self.attributes(one))
            self.ids[one["label"]] = found["id"]
            if "configuration" in one:
                path = self.base(one["kind"]) + "/" + found["id"] + "/configurations"
                self.api.result("PUT", path, {"config": one["configuration"]})

    def plan(self, wanted):
        left = []
        for one in wanted:
            found = self.find(one)
            if found is None:
                left.append([one["label"], "missing"])
            elif self.differences(one, found):
                left.append([one["label"], self.differences(one, found)])
            if found is not None and "configuration" in one:
                path = self.base(one["kind"]) + "/" + found["id"] + "/configurations"
                if self.api.result("GET", path)["config"] != one["configuration"]:
                    left.append([one["label"], "configuration"])
        return left

    def destroy(self, wanted):
        for one in reversed(wanted):
            if self.find(one) is not None:
                self.api.result("DELETE", self.base(one["kind"]) + "/" + self.ids[one["label"]])

    def token(self, label):
        return self.api.result("GET", self.base("tunnel") + "/" + self.ids[label] + "/token")


def main():
    order = json.load(sys.stdin)
    client, outcomes = Client(order), []
    for step in order["steps"]:
        if step["do"] == "destroy":
            client.destroy(order["wanted"])
        else:
            for one in order["wanted"]:
                one["set"].update(step.get("change", {}).get(one["label"], {}))
            client.apply(order["wanted"])
        outcomes.append(client.plan(order["wanted"]))
    tokens = {one["label"]: client.token(one["label"]) for one in order["wanted"]
              if one["kind"] == "tunnel" and order["steps"][-1]["do"] != "destroy"}
    json.dump({"plans": outcomes, "ids": client.ids, "tokens": tokens}, sys.stdout)


main()
