#compdef tl
# Completion of tl for zsh: share/zsh/site-functions/_tl

_tl() {
  local -a commands program
  commands=(
    'run:Run a program'
    'check:Find faults in a program without running it'
    'test:Run the test blocks of a program'
    'repl:Type programs line by line'
    'plan:Show what a program will compute'
    'info:Show what is in a model file'
    'diff:Compare two models'
    'fmt:Put programs into the usual layout'
    'version:Print the version and what it can compute on'
  )
  program=(
    '--threads[threads to compute with]:number'
    '--device[where to compute]:device:(cpu gpu)'
    '--seed[where the stream of random numbers begins]:number'
    '--exact[multiply packed weights in f32]'
    '--check-finite[stop at the first inf or NaN]'
  )
  local context state state_descr line
  typeset -A opt_args
  _arguments -C -S \
    '(- *)'{-h,--help}'[show help]' \
    '(- *)--version[print the version]' \
    '(-e --eval)'{-e,--eval}'[run this program]:program' \
    '--profile[time of each step]' \
    $program \
    '1: :->command' '*:: :->arguments' && return

  case $state in
    command)
      _describe -t commands 'command' commands
      _files -g '*.tl' ;;
    arguments)
      case $words[1] in
        run) _arguments '(- *)'{-h,--help}'[show help]' \
               '--profile[time of each step]' $program \
               '1:program:_files -g "*.tl"' '*:argument:_files' ;;
        plan) _arguments '(- *)'{-h,--help}'[show help]' $program \
               '1:program:_files -g "*.tl"' '*:argument:_files' ;;
        test) _arguments '(- *)'{-h,--help}'[show help]' $program \
               '*:program:_files -g "*.tl"' ;;
        repl) _arguments '(- *)'{-h,--help}'[show help]' $program ;;
        check) _arguments '(- *)'{-h,--help}'[show help]' \
               '*:program:_files -g "*.tl"' ;;
        info) _arguments '(- *)'{-h,--help}'[show help]' \
               '--json[as JSON]' '--filter[only these tensors]:pattern' \
               '--stats[smallest, largest, mean, NaN, inf]' \
               '--sha256[checksum of the files]' \
               '--check[validate everything]' '1:model:_files' ;;
        diff) _arguments '(- *)'{-h,--help}'[show help]' \
               '1:model:_files' '2:model:_files' ;;
        fmt) _arguments '(- *)'{-h,--help}'[show help]' \
               '--check[change nothing; name what would change]' \
               '*:program:_files -g "*.tl"' ;;
        version) _arguments '(- *)'{-h,--help}'[show help]' ;;
        *) _files ;;
      esac ;;
  esac
}

_tl "$@"
