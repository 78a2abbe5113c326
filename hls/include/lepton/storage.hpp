// Where an array is kept, as a template argument: a pragma's own words cannot depend on one.
#pragma once

namespace lepton {

/// Block RAM, look-up tables, or wherever the tool puts it.
enum class Storage { automatic, block, distributed };

/// Binds an array that is written at one port and read at another: `SimpleDualPort<S>::bind(array)`
/// beside its definition.
template <Storage S> struct SimpleDualPort;

template <> struct SimpleDualPort<Storage::automatic> {
    template <typename Array> static void bind(Array& array) {
#pragma HLS inline
#pragma HLS bind_storage variable=array type=ram_s2p
        (void)array;
    }
};

template <> struct SimpleDualPort<Storage::block> {
    template <typename Array> static void bind(Array& array) {
#pragma HLS inline
#pragma HLS bind_storage variable=array type=ram_s2p impl=bram
        (void)array;
    }
};

template <> struct SimpleDualPort<Storage::distributed> {
    template <typename Array> static void bind(Array& array) {
#pragma HLS inline
#pragma HLS bind_storage variable=array type=ram_s2p impl=lutram
        (void)array;
    }
};

}  // namespace lepton
