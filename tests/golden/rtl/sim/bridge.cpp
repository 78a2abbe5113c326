// Drives the Verilated design from plain arrays.
#include "Vtiny.h"

#include "driver.hpp"

using namespace lepton_driver;
using Model = Vtiny;
using Design = Driver<Model>;

static const Pins<Model> pins = {
    [](Model& m, bool level) { m.ap_clk = level; },
    [](Model& m, bool is_reset) { m.ap_rst_n = !is_reset; },
};
static const std::vector<Stream<Model>> streams = {
    {"image_in0", true, 64,
     [](Model& m, const std::uint32_t* w) { put(m.image_in0_TDATA, w); },
     [](const Model& m, std::uint32_t* w) { get(m.image_in0_TDATA, w); },
     [](Model& m, bool flag) { m.image_in0_TVALID = flag; },
     [](const Model& m) -> bool { return m.image_in0_TREADY; }},
    {"side_in1", true, 16,
     [](Model& m, const std::uint32_t* w) { put(m.side_in1_TDATA, w); },
     [](const Model& m, std::uint32_t* w) { get(m.side_in1_TDATA, w); },
     [](Model& m, bool flag) { m.side_in1_TVALID = flag; },
     [](const Model& m) -> bool { return m.side_in1_TREADY; }},
    {"lookup_out0", false, 16,
     [](Model& m, const std::uint32_t* w) { (void)m; (void)w; },
     [](const Model& m, std::uint32_t* w) { get(m.lookup_out0_TDATA, w); },
     [](Model& m, bool flag) { m.lookup_out0_TREADY = flag; },
     [](const Model& m) -> bool { return m.lookup_out0_TVALID; }},
    {"best_out1", false, 8,
     [](Model& m, const std::uint32_t* w) { (void)m; (void)w; },
     [](const Model& m, std::uint32_t* w) { get(m.best_out1_TDATA, w); },
     [](Model& m, bool flag) { m.best_out1_TREADY = flag; },
     [](const Model& m) -> bool { return m.best_out1_TVALID; }},
};

extern "C" {
void* lepton_open() { return new Design(pins, streams); }
void lepton_close(void* design) { delete static_cast<Design*>(design); }
void lepton_reset(void* design) { static_cast<Design*>(design)->reset(); }
std::int64_t lepton_run(void* design, const Job* job) {
    return static_cast<Design*>(design)->run(*job);
}
int lepton_trace(void* design, const char* path) {
    return static_cast<Design*>(design)->trace(path);
}
int lepton_write(void* design, std::uint32_t address, std::uint32_t value) {
    return Registers<Model>(*static_cast<Design*>(design)).write(address, value);
}
int lepton_read(void* design, std::uint32_t address, std::uint32_t* value) {
    return Registers<Model>(*static_cast<Design*>(design)).read(address, *value);
}
}
