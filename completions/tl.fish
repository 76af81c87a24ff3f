# Completion of tl for fish: share/fish/vendor_completions.d/tl.fish

set -l commands run check test repl plan info diff fmt version
set -l at_first "not __fish_seen_subcommand_from $commands"
set -l of_program "$at_first; or __fish_seen_subcommand_from run test repl plan"

complete -c tl -s h -l help -d 'Show help'
complete -c tl -n $at_first -l version -d 'Print the version'
complete -c tl -n $at_first -s e -l eval -x -d 'Run this program'

complete -c tl -n $at_first -a run -d 'Run a program'
complete -c tl -n $at_first -a check -d 'Find faults without running'
complete -c tl -n $at_first -a test -d 'Run the test blocks of a program'
complete -c tl -n $at_first -a repl -d 'Type programs line by line'
complete -c tl -n $at_first -a plan -d 'Show what a program will compute'
complete -c tl -n $at_first -a info -d 'Show what is in a model file'
complete -c tl -n $at_first -a diff -d 'Compare two models'
complete -c tl -n $at_first -a fmt -d 'Put programs into the usual layout'
complete -c tl -n $at_first -a version -d 'Print the version'

complete -c tl -n $of_program -l threads -x -d 'Threads to compute with'
complete -c tl -n $of_program -l device -x -a 'cpu gpu' -d 'Where to compute'
complete -c tl -n $of_program -l seed -x -d 'Where random numbers begin'
complete -c tl -n $of_program -l exact -d 'Multiply packed weights in f32'
complete -c tl -n $of_program -l check-finite -d 'Stop at the first inf or NaN'
complete -c tl -n "$at_first; or __fish_seen_subcommand_from run" \
  -l profile -d 'Time of each step'

complete -c tl -n '__fish_seen_subcommand_from info' -l json -d 'As JSON'
complete -c tl -n '__fish_seen_subcommand_from info' -l filter -x \
  -d 'Only these tensors'
complete -c tl -n '__fish_seen_subcommand_from info' -l stats \
  -d 'Smallest, largest, mean, NaN, inf'
complete -c tl -n '__fish_seen_subcommand_from info' -l sha256 \
  -d 'Checksum of the files'
complete -c tl -n '__fish_seen_subcommand_from info' -l check \
  -d 'Validate everything'
complete -c tl -n '__fish_seen_subcommand_from fmt' -l check \
  -d 'Change nothing; name what would change'
