#!/usr/bin/env bash
# Creates .venv from the lock. The lock is used as constraints, never as requirements: so pip takes a CPU build of torch
# where its own configuration offers one, and the CUDA build elsewhere.
#   MINDGAUGE_CACHE   where the wheel built of llama-cpp-python is kept (default: ~/.cache/mindgauge)
#   MINDGAUGE_NATIVE  1: build llama-cpp-python for this CPU (AVX-512 …), faster, and useless on others; 0: AVX2, for all
#                     (default: as last time in this clone, else 0)
#   MINDGAUGE_TORCH_INDEX  an index with the build of torch that your driver takes; asked beside pip's own, for torch alone
#                     (default: as last time in this clone, else none: PyPI's build, or the one that pip's configuration offers)
#   PYTHON            the interpreter (default: python3.11 if there is one, else python3)
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${MINDGAUGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mindgauge}
python=${PYTHON:-$(command -v python3.11 || command -v python3)}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
  || { echo "setup: $python is not Python 3.11 or 3.12; set PYTHON=/path/to/python3.11" >&2; exit 1; }
command -v c++ >/dev/null || { echo "setup: no C++ compiler (c++) found; on Debian: apt-get install g++" >&2; exit 1; }

native=${MINDGAUGE_NATIVE:-$(cat .venv/.native 2>/dev/null || echo 0)} build=OFF
wheels=$cache/wheels/$("$python" -c 'import sys, platform; print(f"cp{sys.version_info[0]}{sys.version_info[1]}-{platform.machine()}")')
if [ "$native" = 1 ]; then
  # A wheel for each kind of CPU, since clusters share their homes.
  build=ON
  wheels=$wheels-$({ grep -m1 -E '^(flags|Features)' /proc/cpuinfo 2>/dev/null || uname -mp; } | sha256sum | cut -c1-8)
fi
torch_index=${MINDGAUGE_TORCH_INDEX-$(cat .venv/.torch-index 2>/dev/null || true)}
stamp=.venv/.installed
want=$({ cat envs/lock.txt envs/sdist.lock pyproject.toml envs/setup.sh; echo "$wheels $torch_index"; } | sha256sum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0

[ -x .venv/bin/python ] || "$python" -m venv .venv
pip=".venv/bin/python -m pip --disable-pip-version-check -q"
version=$(sed -n 's/^llama-cpp-python==//p' envs/lock.txt)
mkdir -p "$wheels"

# The sdist is kept too: the official HF-to-GGUF converter lies only in it (docs/reproducibility.md).
sdist=$cache/sdist/llama_cpp_python-$version.tar.gz
if ! (cd "$(dirname "$sdist")" 2>/dev/null && sha256sum --quiet --status -c <(grep " llama_cpp_python-$version" "$OLDPWD/envs/sdist.lock")); then
  echo "setup: fetching the sources of llama-cpp-python $version"
  mkdir -p "$cache/sdist"
  # download without building its metadata would need its build backend, so it is asked for with no dependencies
  $pip download --no-deps --no-binary llama-cpp-python -d "$cache/sdist" "llama-cpp-python==$version"
  (cd "$cache/sdist" && sha256sum --quiet -c <(grep " llama_cpp_python-$version" "$OLDPWD/envs/sdist.lock")) \
    || { echo "setup: $sdist does not have the sha256 of envs/sdist.lock; nothing was installed" >&2; rm -f "$sdist"; exit 1; }
fi
if ! ls "$wheels"/llama_cpp_python-"$version"-*.whl >/dev/null 2>&1; then
  echo "setup: building llama-cpp-python $version once (about 2 minutes on 2 cores); kept in $wheels"
  # A native build may die on another CPU of the cluster: AVX2 and FMA stay on without it.
  cmake="-DGGML_NATIVE=$build;-DLLAVA_BUILD=OFF;-DCMAKE_PROJECT_llama.cpp_INCLUDE=$PWD/envs/llama.cmake"
  $pip wheel --no-deps --config-settings "cmake.args=$cmake" -w "$wheels.part" "$sdist"
  mv "$wheels.part"/*.whl "$wheels"/ && rmdir "$wheels.part"
fi
echo "setup: installing the locked packages into .venv"
# Of the same version, so pip would keep a build that is there.
[ -f "$stamp" ] && $pip install --no-deps --force-reinstall "$wheels"/llama_cpp_python-"$version"-*.whl
if [ -n "$torch_index" ]; then
  # Of the locked version the index's build, whatever build of it is there.
  $pip install --force-reinstall --no-deps --index-url "$torch_index" "torch==$(sed -n 's/^torch==\([^ ;]*\).*/\1/p' envs/lock.txt)"
fi
$pip install -c envs/lock.txt "$wheels"/llama_cpp_python-"$version"-*.whl -e '.[workflow,data,labels,server,baselines,train,merge,gguf,convert,evaluate,bundle,report,serve,trail,dev]'
echo "$native" > .venv/.native
echo "$torch_index" > .venv/.torch-index
echo "$want" > "$stamp"
