# Completion of tl for bash: share/bash-completion/completions/tl

_tl() {
  local cur prev commands program
  cur=${COMP_WORDS[COMP_CWORD]}
  prev=${COMP_WORDS[COMP_CWORD-1]}
  commands="run check test repl plan info diff fmt version"
  program="--threads --device --seed --exact --check-finite"

  case $prev in
    --device) COMPREPLY=($(compgen -W "cpu gpu" -- "$cur")); return ;;
    --threads | --seed | --filter | -e | --eval) return ;;
  esac

  # The command is the first word that is no option and no option's value.
  local command="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --threads | --device | --seed | -e | --eval) ((i++)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done

  local options="--help"
  case $command in
    "") options+=" --version --eval --profile $program" ;;
    run) options+=" --profile $program" ;;
    test | repl | plan) options+=" $program" ;;
    info) options+=" --json --filter --stats --sha256 --check" ;;
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
