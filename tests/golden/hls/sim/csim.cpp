// C simulation as a shared library: feeds the top function from plain arrays.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include "../src/tiny.hpp"

namespace {

void send_0(hls::stream<ap_axiu<64, 0, 0, 0>>& stream, const void* frames,
            unsigned first, unsigned count) {
    const char* bytes = static_cast<const char*>(frames) + std::size_t(first) * 32;
    for (unsigned f = 0; f < count; ++f) {
        for (unsigned i = 0; i < 4; ++i, bytes += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes, 8);
            ap_axiu<64, 0, 0, 0> packed;
            packed.data = word;
            packed.keep = -1;
            packed.strb = -1;
            packed.last = i == 3;
            stream.write(packed);
        }
    }
}

void send_1(hls::stream<ap_axiu<16, 0, 0, 0>>& stream, const void* frames,
            unsigned first, unsigned count) {
    const char* bytes = static_cast<const char*>(frames) + std::size_t(first) * 2;
    for (unsigned f = 0; f < count; ++f) {
        for (unsigned i = 0; i < 1; ++i, bytes += 2) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes, 2);
            ap_axiu<16, 0, 0, 0> packed;
            packed.data = word;
            packed.keep = -1;
            packed.strb = -1;
            packed.last = i == 0;
            stream.write(packed);
        }
    }
}

void receive_0(hls::stream<ap_axiu<16, 0, 0, 0>>& stream, void* frames, unsigned first, unsigned count) {
    char* bytes = static_cast<char*>(frames) + std::size_t(first) * 2;
    for (unsigned f = 0; f < count; ++f) {
        for (unsigned i = 0; i < 1; ++i, bytes += 2) {
            const ap_axiu<16, 0, 0, 0> packed = stream.read();
            if (bool(packed.last) != (i == 0))
                throw std::runtime_error("TLAST is not at the end of a frame");
            const std::uint64_t word = std::uint64_t(packed.data);
            std::memcpy(bytes, &word, 2);
        }
    }
    if (!stream.empty())
        throw std::runtime_error("the design wrote more words than its frames have");
}

void receive_1(hls::stream<ap_axiu<8, 0, 0, 0>>& stream, void* frames, unsigned first, unsigned count) {
    char* bytes = static_cast<char*>(frames) + std::size_t(first) * 1;
    for (unsigned f = 0; f < count; ++f) {
        for (unsigned i = 0; i < 1; ++i, bytes += 1) {
            const ap_axiu<8, 0, 0, 0> packed = stream.read();
            if (bool(packed.last) != (i == 0))
                throw std::runtime_error("TLAST is not at the end of a frame");
            const std::uint64_t word = std::uint64_t(packed.data);
            std::memcpy(bytes, &word, 1);
        }
    }
    if (!stream.empty())
        throw std::runtime_error("the design wrote more words than its frames have");
}

}  // namespace

/// Processes `frames` frames, `at_once` in each call of the top function. Returns 0, or 1 with a
/// message. `design_id` receives the register's value.
extern "C" int lepton_csim(const void* const* inputs, void* const* outputs, unsigned frames,
                           unsigned at_once, unsigned* design_id, char* message,
                           unsigned message_size) {
    try {
    hls::stream<ap_axiu<64, 0, 0, 0>> image_in0("image_in0");
    hls::stream<ap_axiu<16, 0, 0, 0>> side_in1("side_in1");
    hls::stream<ap_axiu<16, 0, 0, 0>> lookup_out0("lookup_out0");
    hls::stream<ap_axiu<8, 0, 0, 0>> best_out1("best_out1");
        for (unsigned done = 0; done < frames;) {
            const unsigned burst = frames - done < at_once ? frames - done : at_once;
            send_0(image_in0, inputs[0], done, burst);
            send_1(side_in1, inputs[1], done, burst);
            ::tiny(image_in0, side_in1, lookup_out0, best_out1, burst, *design_id);
            receive_0(lookup_out0, outputs[0], done, burst);
            receive_1(best_out1, outputs[1], done, burst);
            done += burst;
        }
        return 0;
    } catch (const std::exception& error) {
        std::snprintf(message, message_size, "%s", error.what());
        return 1;
    }
}
