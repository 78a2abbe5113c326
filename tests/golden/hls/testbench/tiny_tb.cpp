// Testbench: golden frames in, outputs compared bit for bit; 0 if all are equal.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../src/tiny.hpp"

static std::vector<char> bytes(const std::string& name) {
    // Vitis runs the testbench in a folder of its own; run_hls.tcl adds the files to it.
    std::ifstream file(name.c_str(), std::ios::binary);
    if (!file) file.open(("testbench/" + name).c_str(), std::ios::binary);
    const std::istreambuf_iterator<char> first(file), last;
    return std::vector<char>(first, last);
}

int main() {
    const auto image_in0 = bytes("image_in0.bin");
    const auto side_in1 = bytes("side_in1.bin");
    const auto lookup_out0 = bytes("lookup_out0.bin");
    const auto best_out1 = bytes("best_out1.bin");
    const unsigned frames = image_in0.size() / 32;
    if (frames == 0 || image_in0.size() != std::size_t(frames) * 32 || side_in1.size() != std::size_t(frames) * 2 || lookup_out0.size() != std::size_t(frames) * 2 || best_out1.size() != std::size_t(frames) * 1) {
        std::printf("no golden frames, or not as many in every file\n");
        return 2;
    }
    hls::stream<ap_axiu<64, 0, 0, 0>> image_in0_stream("image_in0");
    hls::stream<ap_axiu<16, 0, 0, 0>> side_in1_stream("side_in1");
    hls::stream<ap_axiu<16, 0, 0, 0>> lookup_out0_stream("lookup_out0");
    hls::stream<ap_axiu<8, 0, 0, 0>> best_out1_stream("best_out1");
    for (std::size_t i = 0; i * 8 < image_in0.size(); ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, &image_in0[i * 8], 8);
        ap_axiu<64, 0, 0, 0> packed;
        packed.data = word;
        packed.keep = -1;
        packed.strb = -1;
        packed.last = i % 4 == 3;
        image_in0_stream.write(packed);
    }
    for (std::size_t i = 0; i * 2 < side_in1.size(); ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, &side_in1[i * 2], 2);
        ap_axiu<16, 0, 0, 0> packed;
        packed.data = word;
        packed.keep = -1;
        packed.strb = -1;
        packed.last = i % 1 == 0;
        side_in1_stream.write(packed);
    }
    unsigned design_id = 0;
    ::tiny(image_in0_stream, side_in1_stream, lookup_out0_stream, best_out1_stream, frames, design_id);
    unsigned mismatches = 0;
    for (std::size_t i = 0; i * 2 < lookup_out0.size(); ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, &lookup_out0[i * 2], 2);
        if (std::uint64_t(lookup_out0_stream.read().data) != word) ++mismatches;
    }
    for (std::size_t i = 0; i * 1 < best_out1.size(); ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, &best_out1[i * 1], 1);
        if (std::uint64_t(best_out1_stream.read().data) != word) ++mismatches;
    }
    std::printf("%u frames, design %08x: %u words differ\n", frames, design_id, mismatches);
    return mismatches ? 1 : 0;
}
