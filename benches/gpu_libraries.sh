# Sourced: lets cvae-torch find the libraries of the PyTorch that is installed, after those that the caller names.
if torch=$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null); then
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$torch/lib
    export LD_LIBRARY_PATH
fi
