 void @"gemm_f32_2x8_generic_px_tail"(i64 %".1", i64 %".2", i64 %".3", i64 %".4", i64 %".5", i64 %".6", i64 %".7", i64 %".8", i64 %".9", i64 %".10", i64 %".11", i64 %".12", i64 %".13", i64 %".14")
{
.16:
  %".17" = icmp slt i64 %".13", 4
  %".18" = select  i1 %".17", i64 %".13", i64 4
  %".19" = trunc i64 %".18" to i32
  %".20" = insertelement <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, i32 %".19", i32 0
  %".21" = shufflevector <4 x i32> %".20", <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".22" = icmp slt <4 x i32> <i32 0, i32 1, i32 2, i32 3>, %".21"
  %".23" = inttoptr i64 %".3" to i8*
  %".24" = inttoptr i64 %".2" to i8*
  %".25" = inttoptr i64 %".4" to i8*
  br label %"loop"
loop:
  %".27" = phi  i64 [0, %".16"], [%".57", %"loop"]
  %".28" = phi  i8* [%".23", %".16"], [%".55", %"loop"]
  %".29" = phi  i8* [%".25", %".16"], [%".56", %"loop"]
  %".30" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".16"], [%".49", %"loop"]
  %".31" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".16"], [%".50", %"loop"]
  %".32" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".16"], [%".53", %"loop"]
  %".33" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".16"], [%".54", %"loop"]
  %".34" = bitcast i8* %".28" to i64*
  %".35" = load i64, i64* %".34", align 8
  %".36" = getelementptr i8, i8* %".24", i64 %".35"
  %".37" = bitcast i8* %".36" to <4 x float>*
  %".38" = load <4 x float>, <4 x float>* %".37", align 4
  %".39" = getelementptr i8, i8* %".36", i64 16
  %".40" = bitcast i8* %".39" to <4 x float>*
  %".41" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".40", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".42" = bitcast i8* %".29" to float*
  %".43" = load float, float* %".42", align 4
  %".44" = getelementptr i8, i8* %".29", i64 4
  %".45" = bitcast i8* %".44" to float*
  %".46" = load float, float* %".45", align 4
  %".47" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".43", i32 0
  %".48" = shufflevector <4 x float> %".47", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".49" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".48", <4 x float> %".38", <4 x float> %".30")
  %".50" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".48", <4 x float> %".41", <4 x float> %".31")
  %".51" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".46", i32 0
  %".52" = shufflevector <4 x float> %".51", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".53" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".52", <4 x float> %".38", <4 x float> %".32")
  %".54" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".52", <4 x float> %".41", <4 x float> %".33")
  %".55" = getelementptr i8, i8* %".28", i64 8
  %".56" = getelementptr i8, i8* %".29", i64 8
  %".57" = add i64 %".27", 1
  %".58" = icmp slt i64 %".57", %".1"
  br i1 %".58", label %"loop", label %"done"
done:
  %".60" = inttoptr i64 %".6" to i8*
  %".61" = icmp eq i64 %".8", 0
  br i1 %".61", label %"then", label %"after"
then:
  %".63" = bitcast i8* %".60" to <4 x float>*
  %".64" = load <4 x float>, <4 x float>* %".63", align 4
  %".65" = fadd <4 x float> %".49", %".64"
  %".66" = getelementptr i8, i8* %".60", i64 16
  %".67" = bitcast i8* %".66" to <4 x float>*
  %".68" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".67", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".69" = fadd <4 x float> %".50", %".68"
  %".70" = getelementptr i8, i8* %".60", i64 %".7"
  %".71" = bitcast i8* %".70" to <4 x float>*
  %".72" = load <4 x float>, <4 x float>* %".71", align 4
  %".73" = fadd <4 x float> %".53", %".72"
  %".74" = getelementptr i8, i8* %".70", i64 16
  %".75" = bitcast i8* %".74" to <4 x float>*
  %".76" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".75", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".77" = fadd <4 x float> %".54", %".76"
  %".78" = getelementptr i8, i8* %".70", i64 %".7"
  br label %"after"
after:
  %".80" = phi  <4 x float> [%".49", %"done"], [%".65", %"then"]
  %".81" = phi  <4 x float> [%".50", %"done"], [%".69", %"then"]
  %".82" = phi  <4 x float> [%".53", %"done"], [%".73", %"then"]
  %".83" = phi  <4 x float> [%".54", %"done"], [%".77", %"then"]
  %".84" = icmp ne i64 %".9", 0
  br i1 %".84", label %"then.1", label %"after.1"
then.1:
  %".86" = inttoptr i64 %".9" to i8*
  %".87" = bitcast i8* %".86" to float*
  %".88" = load float, float* %".87", align 4
  %".89" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".88", i32 0
  %".90" = shufflevector <4 x float> %".89", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".91" = getelementptr i8, i8* %".86", i64 4
  %".92" = bitcast i8* %".91" to float*
  %".93" = load float, float* %".92", align 4
  %".94" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".93", i32 0
  %".95" = shufflevector <4 x float> %".94", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".96" = fadd <4 x float> %".80", %".90"
  %".97" = fadd <4 x float> %".81", %".90"
  %".98" = fadd <4 x float> %".82", %".95"
  %".99" = fadd <4 x float> %".83", %".95"
  br label %"after.1"
after.1:
  %".101" = phi  <4 x float> [%".80", %"after"], [%".96", %"then.1"]
  %".102" = phi  <4 x float> [%".81", %"after"], [%".97", %"then.1"]
  %".103" = phi  <4 x float> [%".82", %"after"], [%".98", %"then.1"]
  %".104" = phi  <4 x float> [%".83", %"after"], [%".99", %"then.1"]
  %".105" = icmp ne i64 %".10", 0
  %".106" = inttoptr i64 %".10" to i8*
  br i1 %".105", label %"then.2", label %"after.2"
then.2:
  %".108" = bitcast i8* %".106" to <4 x float>*
  %".109" = load <4 x float>, <4 x float>* %".108", align 4
  %".110" = fadd <4 x float> %".101", %".109"
  %".111" = getelementptr i8, i8* %".106", i64 16
  %".112" = bitcast i8* %".111" to <4 x float>*
  %".113" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".112", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".114" = fadd <4 x float> %".102", %".113"
  %".115" = getelementptr i8, i8* %".106", i64 %".11"
  %".116" = bitcast i8* %".115" to <4 x float>*
  %".117" = load <4 x float>, <4 x float>* %".116", align 4
  %".118" = fadd <4 x float> %".103", %".117"
  %".119" = getelementptr i8, i8* %".115", i64 16
  %".120" = bitcast i8* %".119" to <4 x float>*
  %".121" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".120", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".122" = fadd <4 x float> %".104", %".121"
  %".123" = getelementptr i8, i8* %".115", i64 %".11"
  br label %"after.2"
after.2:
  %".125" = phi  <4 x float> [%".101", %"after.1"], [%".110", %"then.2"]
  %".126" = phi  <4 x float> [%".102", %"after.1"], [%".114", %"then.2"]
  %".127" = phi  <4 x float> [%".103", %"after.1"], [%".118", %"then.2"]
  %".128" = phi  <4 x float> [%".104", %"after.1"], [%".122", %"then.2"]
  %".129" = icmp eq i64 %".12", 1
  br i1 %".129", label %"then.3", label %"after.3"
then.3:
  %".131" = fcmp olt <4 x float> %".125", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".132" = select  <4 x i1> %".131", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".125"
  %".133" = fcmp olt <4 x float> %".126", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".134" = select  <4 x i1> %".133", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".126"
  %".135" = fcmp olt <4 x float> %".127", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".136" = select  <4 x i1> %".135", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".127"
  %".137" = fcmp olt <4 x float> %".128", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".138" = select  <4 x i1> %".137", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".128"
  br label %"after.3"
after.3:
  %".140" = phi  <4 x float> [%".125", %"after.2"], [%".132", %"then.3"]
  %".141" = phi  <4 x float> [%".126", %"after.2"], [%".134", %"then.3"]
  %".142" = phi  <4 x float> [%".127", %"after.2"], [%".136", %"then.3"]
  %".143" = phi  <4 x float> [%".128", %"after.2"], [%".138", %"then.3"]
  %".144" = icmp eq i64 %".12", 2
  br i1 %".144", label %"then.4", label %"after.4"
then.4:
  %".146" = fcmp olt <4 x float> %".140", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".147" = select  <4 x i1> %".146", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".140"
  %".148" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".140"
  %".149" = select  <4 x i1> %".148", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".147"
  %".150" = fcmp olt <4 x float> %".141", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".151" = select  <4 x i1> %".150", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".141"
  %".152" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".141"
  %".153" = select  <4 x i1> %".152", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".151"
  %".154" = fcmp olt <4 x float> %".142", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".155" = select  <4 x i1> %".154", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".142"
  %".156" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".142"
  %".157" = select  <4 x i1> %".156", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".155"
  %".158" = fcmp olt <4 x float> %".143", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".159" = select  <4 x i1> %".158", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".143"
  %".160" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".143"
  %".161" = select  <4 x i1> %".160", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".159"
  br label %"after.4"
after.4:
  %".163" = phi  <4 x float> [%".140", %"after.3"], [%".149", %"then.4"]
  %".164" = phi  <4 x float> [%".141", %"after.3"], [%".153", %"then.4"]
  %".165" = phi  <4 x float> [%".142", %"after.3"], [%".157", %"then.4"]
  %".166" = phi  <4 x float> [%".143", %"after.3"], [%".161", %"then.4"]
  %".167" = icmp sgt i64 %".12", 2
  br i1 %".167", label %"then.5", label %"after.5"
then.5:
  %".169" = inttoptr i64 %".12" to i8*
  %".170" = bitcast i8* %".169" to float*
  %".171" = load float, float* %".170", align 4
  %".172" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".171", i32 0
  %".173" = shufflevector <4 x float> %".172", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".174" = fmul <4 x float> %".163", %".173"
  %".175" = fcmp olt <4 x float> %".163", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".176" = select  <4 x i1> %".175", <4 x float> %".174", <4 x float> %".163"
  %".177" = inttoptr i64 %".12" to i8*
  %".178" = bitcast i8* %".177" to float*
  %".179" = load float, float* %".178", align 4
  %".180" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".179", i32 0
  %".181" = shufflevector <4 x float> %".180", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".182" = fmul <4 x float> %".164", %".181"
  %".183" = fcmp olt <4 x float> %".164", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".184" = select  <4 x i1> %".183", <4 x float> %".182", <4 x float> %".164"
  %".185" = inttoptr i64 %".12" to i8*
  %".186" = bitcast i8* %".185" to float*
  %".187" = load float, float* %".186", align 4
  %".188" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".187", i32 0
  %".189" = shufflevector <4 x float> %".188", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".190" = fmul <4 x float> %".165", %".189"
  %".191" = fcmp olt <4 x float> %".165", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".192" = select  <4 x i1> %".191", <4 x float> %".190", <4 x float> %".165"
  %".193" = inttoptr i64 %".12" to i8*
  %".194" = bitcast i8* %".193" to float*
  %".195" = load float, float* %".194", align 4
  %".196" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".195", i32 0
  %".197" = shufflevector <4 x float> %".196", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".198" = fmul <4 x float> %".166", %".197"
  %".199" = fcmp olt <4 x float> %".166", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".200" = select  <4 x i1> %".199", <4 x float> %".198", <4 x float> %".166"
  br label %"after.5"
after.5:
  %".202" = phi  <4 x float> [%".163", %"after.4"], [%".176", %"then.5"]
  %".203" = phi  <4 x float> [%".164", %"after.4"], [%".184", %"then.5"]
  %".204" = phi  <4 x float> [%".165", %"after.4"], [%".192", %"then.5"]
  %".205" = phi  <4 x float> [%".166", %"after.4"], [%".200", %"then.5"]
  %".206" = bitcast i8* %".60" to <4 x float>*
  store <4 x float> %".202", <4 x float>* %".206", align 4
  %".208" = getelementptr i8, i8* %".60", i64 16
  %".209" = bitcast i8* %".208" to <4 x float>*
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".203", <4 x float>* %".209", i32 4, <4 x i1> %".22")
  %".211" = getelementptr i8, i8* %".60", i64 %".7"
  %".212" = bitcast i8* %".211" to <4 x float>*
  store <4 x float> %".204", <4 x float>* %".212", align 4
  %".214" = getelementptr i8, i8* %".211", i64 16
  %".215" = bitcast i8* %".214" to <4 x float>*
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".205", <4 x float>* %".215", i32 4, <4 x i1> %".22")
  %".217" = getelementptr i8, i8* %".211", i64 %".7"
  ret void
}

declare <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".1", i32 %".2", <4 x i1> %".3", <4 x float> %".4")

declare <4 x float> @"llvm.fma.v4f32"(<4 x float> %".1", <4 x float> %".2", <4 x float> %".3")

declare void @"llvm.masked.store.v4f32.p0"(<4 x float> %".1", <4 x float>* %".2", i32 %".3", <4 x i1> %".4")
