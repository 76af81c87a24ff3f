# Completion of tl for bash: share/bash-completion/completions/tl

_tl() {
  local cur prev commands program
  cur=${COMP_WORDS[COMP_CWORD]}
  prev=${COMP_WORDS[COMP_CWORD-1]}
  commands="run check test repl plan generate chat bench perplexity info convert diff fmt version"
  program="--threads --device --gpu-memory --seed --exact --check-finite"

  local types="f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q2_k_s q3_k_s q3_k_m
    q3_k_l q4_k_s q4_k_m q5_k_s q5_k_m q6_k iq4_nl iq4_xs tq1_0 tq2_0 mxfp4 nvfp4
    q1_0 q2_0"

  case $prev in
    --device) COMPREPLY=($(compgen -W "cpu gpu" -- "$cur")); return ;;
    --threads | --seed | --filter | --shard-size | -e | --eval | -p | \
      --prompt | --system | -n | --tokens | --context | --temperature | --top-k | \
      --top-p | --min-p | --repetition-penalty | --prompt-tokens | -r | \
      --repetitions | --lora-scale) return ;;
    --dtype) COMPREPLY=($(compgen -W "float16 float32" -- "$cur")); return ;;
    --layout) COMPREPLY=($(compgen -W "hf gguf" -- "$cur")); return ;;
    --type) COMPREPLY=($(compgen -W "$types" -- "$cur")); return ;;
  esac

  # The command is the first word that is no option and no option's value.
  local command="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --threads | --device | --gpu-memory | --seed | --type | --layout | --shard-size | -e | \
        --eval | -p | --prompt | --system | -n | --tokens | --context | --temperature | \
        --top-k | --top-p | --min-p | --repetition-penalty | --dtype | \
        --prompt-tokens | -r | --repetitions | --lora | --lora-scale | --grammar | \
        --json-schema)
        ((i++)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done

  local options="--help"
  local writing="--tokens --context --temperature --top-k --top-p --min-p
    --repetition-penalty --grammar --json-schema --json --dtype --lora --lora-scale
    --profile $program"
  case $command in
    "") options+=" --version --eval --profile $program" ;;
    run) options+=" --profile --sandbox $program" ;;
    test | repl | plan) options+=" $program" ;;
    generate) options+=" --prompt $writing" ;;
    chat) options+=" --system $writing" ;;
    bench) options+=" --prompt-tokens --tokens --repetitions --dtype $program" ;;
    perplexity) options+=" --context --dtype --lora --lora-scale --profile $program" ;;
    info) options+=" --json --filter --stats --sha256 --check" ;;
    convert) options+=" --type --layout --shard-size --threads" ;;
    fmt) options+=" --check" ;;
  esac

  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    return
  fi
  compopt -o filenames
  case $command in
    "") COMPREPLY=($(compgen -W "$commands" -- "$cur")
                   $(compgen -f -X '!*.tl' -- "$cur") $(compgen -d -- "$cur")) ;;
    run | check | test | plan | fmt)
      COMPREPLY=($(compgen -f -X '!*.tl' -- "$cur") $(compgen -d -- "$cur")) ;;
    repl | version) ;;
    *) COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}

complete -F _tl tl
