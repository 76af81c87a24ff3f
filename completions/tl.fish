# Completion of tl for fish: share/fish/vendor_completions.d/tl.fish

set -l commands run check test repl plan generate chat bench perplexity info convert diff fmt version
set -l at_first "not __fish_seen_subcommand_from $commands"
set -l of_writing '__fish_seen_subcommand_from generate chat'
set -l of_program "$at_first; or __fish_seen_subcommand_from run test repl plan generate chat bench perplexity"

complete -c tl -s h -l help -d 'Show help'
complete -c tl -n $at_first -l version -d 'Print the version'
complete -c tl -n $at_first -s e -l eval -x -d 'Run this program'

complete -c tl -n $at_first -a run -d 'Run a program'
complete -c tl -n $at_first -a check -d 'Find faults without running'
complete -c tl -n $at_first -a test -d 'Run the test blocks of a program'
complete -c tl -n $at_first -a repl -d 'Type programs line by line'
complete -c tl -n $at_first -a plan -d 'Show what a program will compute'
complete -c tl -n $at_first -a generate -d 'Continue a text with a language model'
complete -c tl -n $at_first -a chat -d 'Talk to a language model'
complete -c tl -n $at_first -a bench -d 'Measure how fast a language model runs'
complete -c tl -n $at_first -a perplexity -d 'Measure how well a language model knows a text'
complete -c tl -n $at_first -a info -d 'Show what is in a model file'
complete -c tl -n $at_first -a convert -d 'Write a model in another type or format'
complete -c tl -n $at_first -a diff -d 'Compare two models'
complete -c tl -n $at_first -a fmt -d 'Put programs into the usual layout'
complete -c tl -n $at_first -a version -d 'Print the version'

complete -c tl -n $of_program -l threads -x -d 'Threads to compute with'
complete -c tl -n $of_program -l device -x -a 'cpu gpu' -d 'Where to compute'
complete -c tl -n $of_program -l gpu-memory -x -d 'The most to place on the GPU'
complete -c tl -n $of_program -l seed -x -d 'Where random numbers begin'
complete -c tl -n $of_program -l exact -d 'Multiply packed weights in f32'
complete -c tl -n $of_program -l check-finite -d 'Stop at the first inf or NaN'
complete -c tl -n "$at_first; or __fish_seen_subcommand_from run generate chat perplexity" \
  -l profile -d 'Time of each step'
complete -c tl -n '__fish_seen_subcommand_from run' -l sandbox \
  -d 'Read only what is named, write nothing'

complete -c tl -n '__fish_seen_subcommand_from generate' -s p -l prompt -x \
  -d 'The text to continue'
complete -c tl -n '__fish_seen_subcommand_from chat' -l system -x \
  -d 'What the model is told first'
complete -c tl -n $of_writing -s n -l tokens -x \
  -d 'Tokens to write at most'
complete -c tl -n $of_writing -l context -x \
  -d 'Tokens to remember at most'
complete -c tl -n $of_writing -l temperature -x \
  -d '0 takes the likeliest token'
complete -c tl -n $of_writing -l top-k -x \
  -d 'Of the K likeliest'
complete -c tl -n $of_writing -l top-p -x \
  -d 'Of those that make up this probability'
complete -c tl -n $of_writing -l min-p -x \
  -d 'Not less likely than P times the likeliest'
complete -c tl -n $of_writing -l repetition-penalty \
  -x -d 'Above 1 avoids what was said'
complete -c tl -n $of_writing -l grammar -r \
  -d 'Write only what a grammar in GBNF allows'
complete -c tl -n $of_writing -l json-schema -r \
  -d 'Write only JSON that a JSON Schema describes'
complete -c tl -n $of_writing -l json -d 'Write only a JSON object'
complete -c tl -n $of_writing -l dtype -x \
  -a 'float16 float32' -d 'What is computed in'
complete -c tl -n '__fish_seen_subcommand_from generate chat perplexity' -l lora -r \
  -d 'A LoRA adapter to merge into the model'
complete -c tl -n '__fish_seen_subcommand_from generate chat perplexity' \
  -l lora-scale -x -d 'How much of the adapter'
complete -c tl -n '__fish_seen_subcommand_from bench' -s p -l prompt-tokens -x \
  -d 'Tokens of the prompt'
complete -c tl -n '__fish_seen_subcommand_from bench' -s n -l tokens -x \
  -d 'Tokens to write'
complete -c tl -n '__fish_seen_subcommand_from bench' -s r -l repetitions -x \
  -d 'How often'
complete -c tl -n '__fish_seen_subcommand_from bench' -l dtype -x \
  -a 'float16 float32' -d 'What is computed in'
complete -c tl -n '__fish_seen_subcommand_from perplexity' -l context -x \
  -d 'Tokens of a chunk'
complete -c tl -n '__fish_seen_subcommand_from perplexity' -l dtype -x \
  -a 'float16 float32' -d 'What is computed in'
complete -c tl -n '__fish_seen_subcommand_from info' -l json -d 'As JSON'
complete -c tl -n '__fish_seen_subcommand_from info' -l filter -x \
  -d 'Only these tensors'
complete -c tl -n '__fish_seen_subcommand_from info' -l stats \
  -d 'Smallest, largest, mean, NaN, inf'
complete -c tl -n '__fish_seen_subcommand_from info' -l sha256 \
  -d 'Checksum of the files'
complete -c tl -n '__fish_seen_subcommand_from info' -l check \
  -d 'Validate everything'
complete -c tl -n '__fish_seen_subcommand_from convert' -l type -x \
  -a 'f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q2_k_s q3_k_s q3_k_m q3_k_l
      q4_k_s q4_k_m q5_k_s q5_k_m q6_k iq4_nl iq4_xs tq1_0 tq2_0 mxfp4 nvfp4
      q1_0 q2_0' \
  -d 'What the weights become'
complete -c tl -n '__fish_seen_subcommand_from convert' -l layout -x \
  -a 'hf gguf' -d 'Names and order of rows'
complete -c tl -n '__fish_seen_subcommand_from convert' -l shard-size -x \
  -d 'Several files of at most this size'
complete -c tl -n '__fish_seen_subcommand_from convert' -l threads -x \
  -d 'Threads to work with'
complete -c tl -n '__fish_seen_subcommand_from fmt' -l check \
  -d 'Change nothing; name what would change'
