# Vitis HLS 2022.1 or newer: vitis_hls -f run_hls.tcl ?step ...?
# Steps: csim csynth cosim export; all but cosim when none is named.
set steps [expr {$argc > 2 ? [lrange $argv 2 end] : {csim csynth export}}]

open_project -reset vitis
set_top tiny
add_files src/tiny.cpp -cflags "-std=c++14 -Iinclude"
add_files -tb testbench/tiny_tb.cpp -cflags "-std=c++14"
add_files -tb testbench/image_in0.bin
add_files -tb testbench/side_in1.bin
add_files -tb testbench/lookup_out0.bin
add_files -tb testbench/best_out1.bin

open_solution -reset -flow_target vivado solution
set_part {xc7z020clg400-1}
create_clock -period 10.000 -name default

if {"csim" in $steps} { csim_design }
if {"csynth" in $steps} { csynth_design }
if {"cosim" in $steps} { cosim_design }
if {"export" in $steps} { export_design -format ip_catalog -display_name {tiny} }
exit
