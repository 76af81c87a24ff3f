#!/bin/bash
# Checks and measures the CUDA backend on a machine with a card:
#   bench/gpu.sh BUILD [check|time|all]
# BUILD holds tl, tl_cuda_test and bench_cuda_{bandwidth,products,token}. The models
# are written to $SCRATCH (/dev/shm), 13 GB at a time; Python needs NumPy and
# gguf, and for the figures beside ours torch and safetensors. What it printed last
# is bench/gpu.txt.
set -uo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "$1")
what=${2:-all}
scratch=${SCRATCH:-/dev/shm}/tl_gpu
mkdir -p "$scratch"
trap 'rm -rf "$scratch"' EXIT

section() { printf '\n== %s\n' "$*"; }

verse() {
  "$build/tl" generate models/verses/verses.q8_0.gguf --device gpu -p "In the" -n 40 \
    --temperature 0 "$@"
}

check() {
  section "kernel tests"
  "$build/tl_cuda_test" --gtest_brief=1 | tail -n 3
  section "programs on the CPU and on the card"
  TL=$build/tl python3 tests/run_programs.py | tail -n 1
  section "language models beside transformers, their texts, and chats"
  local names name
  names=$(grep -o 'test_[a-z0-9_]*' tests/language_models_test.py | sort -u)
  for name in $names; do
    (TL=$build/tl python3 tests/language_models_test.py "LanguageModels.$name" 2>&1 |
      tail -n 1 | sed "s/^/$name: /") &
  done
  for name in generate chat; do
    (TL=$build/tl python3 "tests/${name}_test.py" 2>&1 | tail -n 1 |
      sed "s/^/${name}_test.py: /") &
  done
  wait
  section "two processes at once, and one that may place 1 MiB on the card"
  alone=$(verse)
  verse > "$scratch/first" & verse > "$scratch/second"
  wait
  small=$(verse --gpu-memory 1MB)
  for text in "$(< "$scratch/first")" "$(< "$scratch/second")" "$small"; do
    [ "$text" = "$alone" ] && echo "the same text" || echo "another text: $text"
  done
  # Small and awkward shapes: a tool makes a kernel a hundred times slower. racecheck
  # takes each refill of a ring's slot by a bulk copy for a race with the lanes that
  # have read it, for which one lane arrives (bench/README.md): the lists are left out.
  local few='*Awkward*:*Softmax*:*Norm*:*Reduction*:*Index*:*Rope*'
  section "compute-sanitizer --tool memcheck"
  timeout 75 compute-sanitizer --tool memcheck "$build/tl_cuda_test" --gtest_brief=1 \
    --gtest_filter="StepList*:$few" 2>&1 | tail -n 3
  section "compute-sanitizer --tool racecheck"
  timeout 100 compute-sanitizer --tool racecheck "$build/tl_cuda_test" --gtest_brief=1 \
    --gtest_filter="$few:-StepList*" 2>&1 | tail -n 3
}

measure() {
  section "bandwidth"
  "$build/bench_cuda_bandwidth"
  section "products"
  "$build/bench_cuda_products"
  section "a token's steps on the card alone"
  "$build/bench_cuda_token"
  section "loading, twice each: the second time the pinned memory is there"
  for dtype in F16 BF16 F32; do
    file=$(bench/gpu_models.py "$scratch" safetensors $dtype)
    for _ in 1 2; do "$build/tl" run --device gpu bench/gpu_load.tl "$file"; done
    [ $dtype = F16 ] || rm "$file"
  done
  section "PyTorch"
  bench/gpu_torch.py "$scratch/F16.safetensors"
  rm "$scratch/F16.safetensors"
  for size in 1.1B 7B; do
    for type in f16 q8_0 q4_0 q4_k_m; do
      section "tl bench $size $type"
      file=$(bench/gpu_models.py "$scratch" gguf $size $type)
      "$build/tl" bench --device gpu "$file"
      rm "$file"
    done
  done
}

nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
"$build/tl" version
[ "$what" = time ] || check
[ "$what" = check ] || measure
