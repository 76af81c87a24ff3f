#compdef tl
# Completion of tl for zsh: share/zsh/site-functions/_tl

_tl() {
  local -a commands program types writing
  types=(f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q2_k_s q3_k_s q3_k_m q3_k_l
    q4_k_s q4_k_m q5_k_s q5_k_m q6_k iq4_nl iq4_xs tq1_0 tq2_0 mxfp4 nvfp4 q1_0
    q2_0)
  commands=(
    'run:Run a program'
    'check:Find faults in a program without running it'
    'test:Run the test blocks of a program'
    'repl:Type programs line by line'
    'plan:Show what a program will compute'
    'generate:Continue a text with a language model'
    'chat:Talk to a language model'
    'bench:Measure how fast a language model runs'
    'perplexity:Measure how well a language model knows a text'
    'info:Show what is in a model file'
    'convert:Write a model in another type or format'
    'diff:Compare two models'
    'fmt:Put programs into the usual layout'
    'version:Print the version and what it can compute on'
  )
  program=(
    '--threads[threads to compute with]:number'
    '--device[where to compute]:device:(cpu gpu)'
    '--gpu-memory[the most to place on the GPU]:size'
    '--seed[where the stream of random numbers begins]:number'
    '--exact[multiply packed weights in f32]'
    '--check-finite[stop at the first inf or NaN]'
  )
  writing=(
    '(-n --tokens)'{-n,--tokens}'[tokens to write at most]:number'
    '--context[tokens to remember at most]:number'
    '--temperature[0 takes the likeliest token]:number'
    '--top-k[of the K likeliest]:number'
    '--top-p[of those that make up this probability]:number'
    '--min-p[not less likely than P times the likeliest]:number'
    '--repetition-penalty[above 1 avoids what was said]:number'
    '--grammar[write only what a grammar in GBNF allows]:grammar:_files'
    '--json-schema[write only JSON that a JSON Schema describes]:schema:_files'
    '--json[write only a JSON object]'
    '--dtype[what is computed in]:type:(float16 float32)'
    '--lora[a LoRA adapter to merge into the model]:adapter:_files'
    '--lora-scale[how much of the adapter]:number'
    '--profile[time of each step]'
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
               '--profile[time of each step]' \
               '--sandbox[read only what is named, write nothing]' $program \
               '1:program:_files -g "*.tl"' '*:argument:_files' ;;
        plan) _arguments '(- *)'{-h,--help}'[show help]' $program \
               '1:program:_files -g "*.tl"' '*:argument:_files' ;;
        generate) _arguments '(- *)'{-h,--help}'[show help]' \
               '(-p --prompt)'{-p,--prompt}'[the text to continue]:text' \
               $writing $program '1:model:_files' ;;
        chat) _arguments '(- *)'{-h,--help}'[show help]' \
               '--system[what the model is told first]:text' \
               $writing $program '1:model:_files' ;;
        bench) _arguments '(- *)'{-h,--help}'[show help]' \
               '(-p --prompt-tokens)'{-p,--prompt-tokens}'[tokens of the prompt]:number' \
               '(-n --tokens)'{-n,--tokens}'[tokens to write]:number' \
               '(-r --repetitions)'{-r,--repetitions}'[how often]:number' \
               '--dtype[what is computed in]:type:(float16 float32)' \
               $program '1:model:_files' ;;
        perplexity) _arguments '(- *)'{-h,--help}'[show help]' \
               '--context[tokens of a chunk]:number' \
               '--dtype[what is computed in]:type:(float16 float32)' \
               '--lora[a LoRA adapter to merge into the model]:adapter:_files' \
               '--lora-scale[how much of the adapter]:number' \
               '--profile[time of each step]' $program \
               '1:model:_files' '2:text:_files' ;;
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
        convert) _arguments '(- *)'{-h,--help}'[show help]' \
               "--type[what the weights become]:type:($types)" \
               '--layout[names and order of rows]:layout:(hf gguf)' \
               '--shard-size[several files of at most this size]:size' \
               '--threads[threads to work with]:number' \
               '1:model:_files' '2:file to write:_files' ;;
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
