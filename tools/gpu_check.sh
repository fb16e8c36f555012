#!/usr/bin/env bash
# Tests hybridopt on a GPU and measures where the GPU begins to pay, within 15 minutes.
# It needs a Python with the GPU build of Aer (`pip install qiskit-aer-gpu` in place of qiskit-aer),
# torch, and pytest. Results, with the name of the machine, are in FOLDER.
# usage: bash tools/gpu_check.sh [PYTHON] [FOLDER]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${1:-python3}
folder=${2:-results/gpu}
mkdir -p "$folder"

"$python" -m hybridopt devices --json >"$folder/devices.json"
if ! grep -q '"gpu": true' "$folder/devices.json"; then
  echo "Aer finds no GPU." >&2
  exit 1
fi
{ nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv || echo "nvidia-smi is missing"
  lscpu | grep -E "Model name|^CPU\(s\)"; } >"$folder/machine.txt" 2>&1

status=0
# warnings of other versions of packages say nothing about the GPU
timeout 300 "$python" -m pytest -m gpu -q -W default --maxfail=20 tests/execution/aer/test_gpu.py 2>&1 |
  tee "$folder/tests.txt" || status=1
timeout 500 "$python" -m hybridopt bench --suite gpu --output "$folder" 2>&1 |
  tee "$folder/bench.txt" || status=1
exit "$status"
