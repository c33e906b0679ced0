 void @"gemm_f32_2x8_generic_px_tail"(i64 %".1", i64 %".2", i64 %".3", i64 %".4", i64 %".5", i64 %".6", i64 %".7", i64 %".8", i64 %".9", i64 %".10", i64 %".11", i64 %".12", i64 %".13")
{
.15:
  %".16" = icmp slt i64 %".13", 4
  %".17" = select  i1 %".16", i64 %".13", i64 4
  %".18" = trunc i64 %".17" to i32
  %".19" = insertelement <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, i32 %".18", i32 0
  %".20" = shufflevector <4 x i32> %".19", <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".21" = icmp slt <4 x i32> <i32 0, i32 1, i32 2, i32 3>, %".20"
  %".22" = inttoptr i64 %".3" to i8*
  %".23" = inttoptr i64 %".2" to i8*
  %".24" = inttoptr i64 %".4" to i8*
  br label %"loop"
loop:
  %".26" = phi  i64 [0, %".15"], [%".56", %"loop"]
  %".27" = phi  i8* [%".22", %".15"], [%".54", %"loop"]
  %".28" = phi  i8* [%".24", %".15"], [%".55", %"loop"]
  %".29" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".15"], [%".48", %"loop"]
  %".30" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".15"], [%".49", %"loop"]
  %".31" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".15"], [%".52", %"loop"]
  %".32" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".15"], [%".53", %"loop"]
  %".33" = bitcast i8* %".27" to i64*
  %".34" = load i64, i64* %".33", align 8
  %".35" = getelementptr i8, i8* %".23", i64 %".34"
  %".36" = bitcast i8* %".35" to <4 x float>*
  %".37" = load <4 x float>, <4 x float>* %".36", align 4
  %".38" = getelementptr i8, i8* %".35", i64 16
  %".39" = bitcast i8* %".38" to <4 x float>*
  %".40" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".39", i32 4, <4 x i1> %".21", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".41" = bitcast i8* %".28" to float*
  %".42" = load float, float* %".41", align 4
  %".43" = getelementptr i8, i8* %".28", i64 4
  %".44" = bitcast i8* %".43" to float*
  %".45" = load float, float* %".44", align 4
  %".46" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".42", i32 0
  %".47" = shufflevector <4 x float> %".46", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".48" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".47", <4 x float> %".37", <4 x float> %".29")
  %".49" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".47", <4 x float> %".40", <4 x float> %".30")
  %".50" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".45", i32 0
  %".51" = shufflevector <4 x float> %".50", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".52" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".51", <4 x float> %".37", <4 x float> %".31")
  %".53" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".51", <4 x float> %".40", <4 x float> %".32")
  %".54" = getelementptr i8, i8* %".27", i64 8
  %".55" = getelementptr i8, i8* %".28", i64 8
  %".56" = add i64 %".26", 1
  %".57" = icmp slt i64 %".56", %".1"
  br i1 %".57", label %"loop", label %"done"
done:
  %".59" = inttoptr i64 %".6" to i8*
  %".60" = icmp eq i64 %".8", 0
  br i1 %".60", label %"then", label %"after"
then:
  %".62" = bitcast i8* %".59" to <4 x float>*
  %".63" = load <4 x float>, <4 x float>* %".62", align 4
  %".64" = fadd <4 x float> %".48", %".63"
  %".65" = getelementptr i8, i8* %".59", i64 16
  %".66" = bitcast i8* %".65" to <4 x float>*
  %".67" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".66", i32 4, <4 x i1> %".21", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".68" = fadd <4 x float> %".49", %".67"
  %".69" = getelementptr i8, i8* %".59", i64 %".7"
  %".70" = bitcast i8* %".69" to <4 x float>*
  %".71" = load <4 x float>, <4 x float>* %".70", align 4
  %".72" = fadd <4 x float> %".52", %".71"
  %".73" = getelementptr i8, i8* %".69", i64 16
  %".74" = bitcast i8* %".73" to <4 x float>*
  %".75" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".74", i32 4, <4 x i1> %".21", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".76" = fadd <4 x float> %".53", %".75"
  %".77" = getelementptr i8, i8* %".69", i64 %".7"
  br label %"after"
after:
  %".79" = phi  <4 x float> [%".48", %"done"], [%".64", %"then"]
  %".80" = phi  <4 x float> [%".49", %"done"], [%".68", %"then"]
  %".81" = phi  <4 x float> [%".52", %"done"], [%".72", %"then"]
  %".82" = phi  <4 x float> [%".53", %"done"], [%".76", %"then"]
  %".83" = icmp ne i64 %".9", 0
  br i1 %".83", label %"then.1", label %"after.1"
then.1:
  %".85" = inttoptr i64 %".9" to i8*
  %".86" = bitcast i8* %".85" to float*
  %".87" = load float, float* %".86", align 4
  %".88" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".87", i32 0
  %".89" = shufflevector <4 x float> %".88", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".90" = getelementptr i8, i8* %".85", i64 4
  %".91" = bitcast i8* %".90" to float*
  %".92" = load float, float* %".91", align 4
  %".93" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".92", i32 0
  %".94" = shufflevector <4 x float> %".93", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".95" = fadd <4 x float> %".79", %".89"
  %".96" = fadd <4 x float> %".80", %".89"
  %".97" = fadd <4 x float> %".81", %".94"
  %".98" = fadd <4 x float> %".82", %".94"
  br label %"after.1"
after.1:
  %".100" = phi  <4 x float> [%".79", %"after"], [%".95", %"then.1"]
  %".101" = phi  <4 x float> [%".80", %"after"], [%".96", %"then.1"]
  %".102" = phi  <4 x float> [%".81", %"after"], [%".97", %"then.1"]
  %".103" = phi  <4 x float> [%".82", %"after"], [%".98", %"then.1"]
  %".104" = icmp ne i64 %".10", 0
  %".105" = inttoptr i64 %".10" to i8*
  br i1 %".104", label %"then.2", label %"after.2"
then.2:
  %".107" = bitcast i8* %".105" to <4 x float>*
  %".108" = load <4 x float>, <4 x float>* %".107", align 4
  %".109" = fadd <4 x float> %".100", %".108"
  %".110" = getelementptr i8, i8* %".105", i64 16
  %".111" = bitcast i8* %".110" to <4 x float>*
  %".112" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".111", i32 4, <4 x i1> %".21", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".113" = fadd <4 x float> %".101", %".112"
  %".114" = getelementptr i8, i8* %".105", i64 %".11"
  %".115" = bitcast i8* %".114" to <4 x float>*
  %".116" = load <4 x float>, <4 x float>* %".115", align 4
  %".117" = fadd <4 x float> %".102", %".116"
  %".118" = getelementptr i8, i8* %".114", i64 16
  %".119" = bitcast i8* %".118" to <4 x float>*
  %".120" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".119", i32 4, <4 x i1> %".21", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".121" = fadd <4 x float> %".103", %".120"
  %".122" = getelementptr i8, i8* %".114", i64 %".11"
  br label %"after.2"
after.2:
  %".124" = phi  <4 x float> [%".100", %"after.1"], [%".109", %"then.2"]
  %".125" = phi  <4 x float> [%".101", %"after.1"], [%".113", %"then.2"]
  %".126" = phi  <4 x float> [%".102", %"after.1"], [%".117", %"then.2"]
  %".127" = phi  <4 x float> [%".103", %"after.1"], [%".121", %"then.2"]
  %".128" = icmp eq i64 %".12", 1
  br i1 %".128", label %"then.3", label %"after.3"
then.3:
  %".130" = fcmp olt <4 x float> %".124", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".131" = select  <4 x i1> %".130", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".124"
  %".132" = fcmp olt <4 x float> %".125", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".133" = select  <4 x i1> %".132", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".125"
  %".134" = fcmp olt <4 x float> %".126", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".135" = select  <4 x i1> %".134", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".126"
  %".136" = fcmp olt <4 x float> %".127", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".137" = select  <4 x i1> %".136", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".127"
  br label %"after.3"
after.3:
  %".139" = phi  <4 x float> [%".124", %"after.2"], [%".131", %"then.3"]
  %".140" = phi  <4 x float> [%".125", %"after.2"], [%".133", %"then.3"]
  %".141" = phi  <4 x float> [%".126", %"after.2"], [%".135", %"then.3"]
  %".142" = phi  <4 x float> [%".127", %"after.2"], [%".137", %"then.3"]
  %".143" = icmp eq i64 %".12", 2
  br i1 %".143", label %"then.4", label %"after.4"
then.4:
  %".145" = fcmp olt <4 x float> %".139", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".146" = select  <4 x i1> %".145", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".139"
  %".147" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".139"
  %".148" = select  <4 x i1> %".147", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".146"
  %".149" = fcmp olt <4 x float> %".140", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".150" = select  <4 x i1> %".149", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".140"
  %".151" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".140"
  %".152" = select  <4 x i1> %".151", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".150"
  %".153" = fcmp olt <4 x float> %".141", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".154" = select  <4 x i1> %".153", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".141"
  %".155" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".141"
  %".156" = select  <4 x i1> %".155", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".154"
  %".157" = fcmp olt <4 x float> %".142", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".158" = select  <4 x i1> %".157", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".142"
  %".159" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".142"
  %".160" = select  <4 x i1> %".159", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".158"
  br label %"after.4"
after.4:
  %".162" = phi  <4 x float> [%".139", %"after.3"], [%".148", %"then.4"]
  %".163" = phi  <4 x float> [%".140", %"after.3"], [%".152", %"then.4"]
  %".164" = phi  <4 x float> [%".141", %"after.3"], [%".156", %"then.4"]
  %".165" = phi  <4 x float> [%".142", %"after.3"], [%".160", %"then.4"]
  %".166" = icmp sgt i64 %".12", 2
  br i1 %".166", label %"then.5", label %"after.5"
then.5:
  %".168" = inttoptr i64 %".12" to i8*
  %".169" = bitcast i8* %".168" to float*
  %".170" = load float, float* %".169", align 4
  %".171" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".170", i32 0
  %".172" = shufflevector <4 x float> %".171", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".173" = fmul <4 x float> %".162", %".172"
  %".174" = fcmp olt <4 x float> %".162", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".175" = select  <4 x i1> %".174", <4 x float> %".173", <4 x float> %".162"
  %".176" = inttoptr i64 %".12" to i8*
  %".177" = bitcast i8* %".176" to float*
  %".178" = load float, float* %".177", align 4
  %".179" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".178", i32 0
  %".180" = shufflevector <4 x float> %".179", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".181" = fmul <4 x float> %".163", %".180"
  %".182" = fcmp olt <4 x float> %".163", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".183" = select  <4 x i1> %".182", <4 x float> %".181", <4 x float> %".163"
  %".184" = inttoptr i64 %".12" to i8*
  %".185" = bitcast i8* %".184" to float*
  %".186" = load float, float* %".185", align 4
  %".187" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".186", i32 0
  %".188" = shufflevector <4 x float> %".187", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".189" = fmul <4 x float> %".164", %".188"
  %".190" = fcmp olt <4 x float> %".164", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".191" = select  <4 x i1> %".190", <4 x float> %".189", <4 x float> %".164"
  %".192" = inttoptr i64 %".12" to i8*
  %".193" = bitcast i8* %".192" to float*
  %".194" = load float, float* %".193", align 4
  %".195" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".194", i32 0
  %".196" = shufflevector <4 x float> %".195", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".197" = fmul <4 x float> %".165", %".196"
  %".198" = fcmp olt <4 x float> %".165", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".199" = select  <4 x i1> %".198", <4 x float> %".197", <4 x float> %".165"
  br label %"after.5"
after.5:
  %".201" = phi  <4 x float> [%".162", %"after.4"], [%".175", %"then.5"]
  %".202" = phi  <4 x float> [%".163", %"after.4"], [%".183", %"then.5"]
  %".203" = phi  <4 x float> [%".164", %"after.4"], [%".191", %"then.5"]
  %".204" = phi  <4 x float> [%".165", %"after.4"], [%".199", %"then.5"]
  %".205" = bitcast i8* %".59" to <4 x float>*
  store <4 x float> %".201", <4 x float>* %".205", align 4
  %".207" = getelementptr i8, i8* %".59", i64 16
  %".208" = bitcast i8* %".207" to <4 x float>*
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".202", <4 x float>* %".208", i32 4, <4 x i1> %".21")
  %".210" = getelementptr i8, i8* %".59", i64 %".7"
  %".211" = bitcast i8* %".210" to <4 x float>*
  store <4 x float> %".203", <4 x float>* %".211", align 4
  %".213" = getelementptr i8, i8* %".210", i64 16
  %".214" = bitcast i8* %".213" to <4 x float>*
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".204", <4 x float>* %".214", i32 4, <4 x i1> %".21")
  %".216" = getelementptr i8, i8* %".210", i64 %".7"
  ret void
}

declare <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".1", i32 %".2", <4 x i1> %".3", <4 x float> %".4")

declare <4 x float> @"llvm.fma.v4f32"(<4 x float> %".1", <4 x float> %".2", <4 x float> %".3")

declare void @"llvm.masked.store.v4f32.p0"(<4 x float> %".1", <4 x float>* %".2", i32 %".3", <4 x i1> %".4")
